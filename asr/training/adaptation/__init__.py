"""Adaptation: minutes of speech -> weights that know it, near to those that they start from."""
