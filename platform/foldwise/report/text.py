"""Step 8, show: the report in words and plain tables."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from foldwise.inputs.words import counted
from foldwise.reduce.reduce import OuterResult
from foldwise.reduce.values import show_params
from foldwise.report.digits import Digits
from foldwise.report.metric import MetricReport
from foldwise.safety.masking import printable

_WIDTH = 120
WEIGHTED = (
    "Inner scores are weighted by sample_weight and outer scores are not, as in cross_validate around a search: the two are "
    "means of different kinds."
)


def outer_table(outer: Sequence[OuterResult], scores: Mapping[str, MetricReport], metric: str) -> str:
    """Lay out the outer folds: scores, inner best, chosen params."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("outer fold", justify="right", no_wrap=True)
    for name in scores:
        table.add_column(printable(name), justify="right", no_wrap=True)
    table.add_column(f"inner best ({metric})" if len(scores) > 1 else "inner best", justify="right", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("chosen params", overflow="fold")
    for one in outer:
        params = show_params(one.params)
        if one.error is not None:
            params += f"  FAILED: {one.error}"
        shown = [_or_none(score.digits.more(), one.scores[name]) for name, score in scores.items()]
        inner = _or_none(scores[metric].digits.more(), one.inner_best) if metric in scores else "-"
        table.add_row(str(one.fold), *shown, inner, str(one.n_test), params)
    out = io.StringIO()
    Console(file=out, width=_WIDTH, color_system=None, highlight=False, markup=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def _or_none(digits: Digits, score: float) -> str:
    return "-" if math.isnan(score) else digits(score)


def sentence(score: MetricReport, n_params: int, chooser: str | None = None, best: float = math.nan) -> str:
    """Say which number to quote.

    Parameters
    ----------
    score : MetricReport
        Of the metric that chose.
    n_params : int
        Distinct params that the final study tried.
    chooser : str, optional
        The name of the callable that chose; None: the best mean did.
    best : float
        With a callable, the best mean.
    """
    shown, flat = score.digits, score.digits(score.flat_best)
    if chooser is None:
        words = f"The best of {n_params} params by {score.title} scored {flat} on the folds that chose it"
    else:
        than = f", the best of which scored {shown(best)}" if math.isfinite(best) else ""
        words = (
            f"Of {n_params} params{than}, {chooser} chose some that scored {flat} by {score.title} on the folds that chose them"
        )
    return (
        f"{words}; the same search, judged on folds that had no part in the choice, scores {shown(score.mean)} "
        f"({interval_words(score)}): quote the second."
    )


def interval_words(score: MetricReport) -> str:
    """Word the interval, or why there is none."""
    ends = score.interval.ends
    if ends is None:
        return f"no interval: {score.interval.how}"
    return f"95 % interval {score.digits(ends[0])} to {score.digits(ends[1])}"


def optimism_words(score: MetricReport) -> str:
    """Word the optimism, without calling noise the absence of overfitting."""
    words = f"Optimism (the first minus the second): {score.digits.more()(score.optimism, sign=True)}."
    if score.optimism <= 0 or score.optimism < score.spread:
        words += " On one data set this difference is noise of its own size and may be zero or negative by chance."
    return words


def train_words(n_choosing: float, n_judging: float) -> str:
    """Say that the two numbers come from fits on different numbers of rows."""
    return f"The first comes from fits on {n_choosing:.0f} rows each, the second from fits on {n_judging:.0f}."


def weighing_words(score: MetricReport, n_test: Sequence[int], *, by_group: bool) -> str:
    """Say that folds of unequal size count alike; empty where that makes no difference."""
    shown, least, most = score.digits, min(n_test), max(n_test)
    differs = math.isfinite(score.by_rows) and shown(score.by_rows) != shown(score.mean)
    if most - least <= 1 or not (differs or by_group or most >= 1.5 * least):
        return ""
    what = f"{len(n_test)} groups" if by_group else f"{len(n_test)} outer folds"
    return f"The mean over {what} of {least} to {most} rows, which count alike; by rows {shown(score.by_rows)}."


def metric_lines(scores: Mapping[str, MetricReport], metric: str) -> str:
    """Give each metric's nested mean, deviation, interval, inner mean of the chosen params, and optimism."""
    width = max(len(name) for name in scores)
    return "\n".join(f"{name:<{width}}  {_metric_line(one, is_chooser=name == metric)}" for name, one in scores.items())


def _metric_line(score: MetricReport, *, is_chooser: bool) -> str:
    shown = score.digits.more()
    if math.isnan(score.mean):
        n_gaps = sum(math.isnan(one) for one in score.outer)
        return f"no nested score: {n_gaps} of {len(score.outer)} outer folds have none"
    line = f"nested {shown(score.mean)}, standard deviation over the folds {shown(score.std)} ({interval_words(score)})"
    if math.isnan(score.flat_best):
        return line
    where = "on the folds that chose" if is_chooser else "at the same params on the folds that chose"
    return f"{line}; {shown(score.flat_best)} {where}, optimism {shown(score.optimism, sign=True)}"


def recurrence_lines(recurrence: Mapping[str, Counter[str]], n_folds: int) -> str:
    """Say how often each chosen value recurs over the outer folds."""
    lines = []
    for name, values in recurrence.items():
        listed = ", ".join(f"{value} ({count} of {n_folds})" for value, count in values.most_common())
        lines.append(f"  {name}: {listed}")
    return "Chosen over the outer folds:\n" + "\n".join(lines)


def found_words(n_found: int, n_fits: int) -> str:
    """Say how many fits did not need to run."""
    return f"{n_found} of {n_fits} fits found in the ledger"


def forgotten_words(n_fits: int) -> str:
    """Say what it means that failures were forgotten."""
    forgotten = f"{counted(n_fits, 'failed fit')} of earlier runs {'is' if n_fits == 1 else 'are'} forgotten and run again"
    return f"{forgotten}; where one does well now, a search that adapts may ask otherwise than before"
