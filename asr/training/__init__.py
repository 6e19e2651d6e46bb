"""Training: the Lightning module, its data, and the `fit` command line."""
