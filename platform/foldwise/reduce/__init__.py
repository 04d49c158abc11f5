"""Step 6, reduce: results of fits -> trial -> choice -> outer result. Pure functions."""
