"""Recordings of a corpus: what each measures, remembered and cached."""
