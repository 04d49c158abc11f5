"""``python -m foldwise.cli``."""

from foldwise.cli.main import main

main()
