"""The sampling rate of all audio behind the reader of files."""

SAMPLE_RATE = 16_000
"""Samples per second."""
