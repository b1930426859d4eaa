"""The report of a run: figures and one self-contained HTML file, fit for a paper's supplement."""
