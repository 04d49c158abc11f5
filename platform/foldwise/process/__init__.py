"""What surrounds a fit in its process: what a process has only one of, its environment, and the world that workers share."""
