"""Random transforms of training batches, drawn from a generator that is passed in."""
