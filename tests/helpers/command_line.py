"""The command line, called in this process."""

import sys

import pytest

import foldwise.cli.main


def call(monkeypatch, capsys, *arguments):
    """Call a command; returns (exit code, standard output, standard error)."""
    monkeypatch.setattr(sys, "argv", ["foldwise", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back what `run` redirects
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        foldwise.cli.main.main()
    captured = capsys.readouterr()
    return end.value.code or 0, captured.out, captured.err
