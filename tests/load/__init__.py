"""`make bench-…`: what is measured, with a goal beside every figure."""
