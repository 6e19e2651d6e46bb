"""Callbacks of a run: checkpoints, averaging, faults, throughput and memory."""
