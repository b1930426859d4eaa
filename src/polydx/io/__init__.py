"""Bytes to arrays: spectra, images and tables, each refused by name when it is not what it should be."""
