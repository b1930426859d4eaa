"""One figure a function: numbers in, matplotlib figure out."""
