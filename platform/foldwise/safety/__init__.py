"""Under all steps: what hides secrets in texts, and files that only their owner can read."""
