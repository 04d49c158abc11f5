"""Step 9, faces: the command line."""
