"""Recipes: everything that is fitted on a training fold, network and classical behind one protocol."""
