"""The engine: the served models, the queue, and the worker processes."""
