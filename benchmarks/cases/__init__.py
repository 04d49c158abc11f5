"""One module per case; each has ``run(repeats, small) -> Result``."""
