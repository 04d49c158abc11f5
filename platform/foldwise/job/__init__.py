"""Step 9, faces: the job file, and what drives the search that it asks for."""
