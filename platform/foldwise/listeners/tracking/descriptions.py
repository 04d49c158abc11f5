"""What heads a run's page in MLflow: Markdown. A job's is its report; a study's says what it chose and how that was judged."""

from __future__ import annotations

from foldwise.events import StudyEnded
from foldwise.reduce.values import show
from foldwise.report import Report
from foldwise.safety.masking import masked, masked_value

LONGEST_TAG = 8000


def cut(text: str, longest: int) -> str:
    """Cut a text, saying so; without secrets.

    Examples
    --------
    >>> cut("a" * 100, 40)
    'aaaaaaaaaa ... (cut from 100 characters)'
    """
    text = masked(text)
    if len(text) <= longest:
        return text
    mark = f" ... (cut from {len(text)} characters)"
    return text[: longest - len(mark)] + mark


def described_job(report: Report) -> str:
    """Return a report as a job's description: which number to quote, then all of it."""
    head = _escaped(report.summary())
    return f"{head}\n\n{_block(str(report), LONGEST_TAG - len(head) - 20)}"


def described_study(event: StudyEnded, metric: str) -> str:
    """Say what a study chose, among how many, and how that was judged."""
    chosen, outer = event.chosen, event.outer
    lines = [f"Chosen among {len(event.trials)} trials, by the inner {metric} of {show(chosen.value)}:"]
    lines += [f"    {name} = {show(masked_value(name, value))}" for name, value in sorted(chosen.params.items())]
    if outer is None:
        lines += ["", "On all rows, and judged by no others: the outer studies say what to expect of it."]
    else:
        scores = ", ".join(f"{name} {show(value)}" for name, value in outer.scores.items())
        judged = f"on the {outer.n_test} rows of outer fold {outer.fold} it scores: {scores}."
        lines += ["", f"Fitted on {outer.n_train} rows, {judged}"]
    return _block("\n".join(lines), LONGEST_TAG - 20)


def _block(text: str, longest: int) -> str:
    """Set a text as it is, whatever is in it."""
    return f"```text\n{cut(text, longest).replace('```', chr(39) * 3)}\n```"


def _escaped(text: str) -> str:
    return "".join(f"\\{one}" if one in "\\`*<[" else one for one in cut(text, LONGEST_TAG // 2))
