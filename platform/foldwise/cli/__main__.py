"""``python -m foldwise.cli``."""

from foldwise.cli.main.main import main

main()
