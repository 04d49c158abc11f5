"""Step 0, under all others: what hides secrets in texts, and files that only their owner can read."""
