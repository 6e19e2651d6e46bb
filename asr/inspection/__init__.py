"""What happens inside a model while it reads a recording: numbers, a picture, a page."""

from asr.inspection.inspection import MOST_SECONDS, Inspection, inspect, summary

__all__ = ["MOST_SECONDS", "Inspection", "inspect", "summary"]
