"""Preparing spectra, images and tables: transformers that are fitted inside the fold."""
