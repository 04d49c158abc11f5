"""Step 5, map: the only code that runs on workers."""
