"""Punctuation: plain words become written text, with marks, capitals and digits."""
