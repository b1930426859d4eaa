"""Named studies: where public data live, how their files become a `Study`, and cohorts drawn by a computer."""
