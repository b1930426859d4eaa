"""Fitting networks: losses, the training loop, freezing, weights in and out."""
