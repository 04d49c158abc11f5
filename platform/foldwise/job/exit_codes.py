"""What a command's exit code says, here and on a cluster; and how an error is printed."""

from __future__ import annotations

from foldwise.errors import FoldwiseError, InputError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
"""The job is done; it failed or its report is partial; the input is wrong; it was interrupted or stopped."""


def exit_code(error: FoldwiseError) -> int:
    """Return the code of a command that ends with this error.

    Examples
    --------
    >>> exit_code(InputError("seed", "expected an integer, got 'x'"))
    2
    """
    return WRONG_INPUT if isinstance(error, InputError) else FAILED


def error_line(error: FoldwiseError) -> str:
    """Word an error as commands print it; wrong input is one line.

    Examples
    --------
    >>> error_line(InputError("seed", "expected an integer, got 'x'"))
    "error: seed: expected an integer, got 'x'"
    """
    text = str(error)
    return "error: " + (" ".join(text.partition("\n")[0].split()) if isinstance(error, InputError) else text)
