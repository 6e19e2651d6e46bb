"""Training: the Lightning module, its objective and optimizer, and what a run leaves behind."""
