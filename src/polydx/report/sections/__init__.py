"""The questions a report answers, one module each: run in, blocks out."""
