"""Step 6, reduce: statistics of scores. Pure functions."""
