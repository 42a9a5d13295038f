"""Training and evaluation: trainer, hooks, checkpoints, checks, processes."""
