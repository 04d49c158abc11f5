"""Step 1, describe: dimensions, and the space that they make."""
