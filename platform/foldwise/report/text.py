"""The report in words and plain tables."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from foldwise.reduce import OuterResult
from foldwise.report.metric import MetricReport, show

_WIDTH = 120
WEIGHTED = (
    "Inner scores are weighted by sample_weight and outer scores are not, as in cross_validate around a search: the two are "
    "means of different kinds."
)


def outer_table(outer: Sequence[OuterResult], metrics: Sequence[str], metric: str) -> str:
    """Lay out the outer folds: scores, inner best, chosen params."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("outer fold", justify="right", no_wrap=True)
    for name in metrics:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(f"inner best ({metric})" if len(metrics) > 1 else "inner best", justify="right", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("chosen params", overflow="fold")
    for one in outer:
        params = ", ".join(f"{name}={show(value)}" for name, value in sorted(one.params.items()))
        if one.error is not None:
            params += f"  FAILED: {one.error}"
        scores = [f"{one.scores[name]:.4f}" for name in metrics]
        table.add_row(str(one.fold), *scores, f"{one.inner_best:.4f}", str(one.n_test), params)
    out = io.StringIO()
    Console(file=out, width=_WIDTH, color_system=None, highlight=False, markup=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def sentence(score: MetricReport, n_params: int) -> str:
    """Say which number to quote."""
    return (
        f"The best of {n_params} params scored {score.flat_best:.3f} on the folds that chose it; the same search, judged on "
        f"folds that had no part in the choice, scores {score.mean:.3f} ({interval_words(score)}): quote the second."
    )


def interval_words(score: MetricReport) -> str:
    """Word the interval, or why there is none."""
    ends = score.interval.ends
    if ends is None:
        return f"no interval: {score.interval.how}"
    return f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}"


def optimism_words(score: MetricReport) -> str:
    """Word the optimism, without calling noise the absence of overfitting."""
    words = f"Optimism (flat best minus nested mean): {score.optimism:+.4f}."
    if score.optimism <= 0:
        words += " On one data set this difference is noise of its own size and may be zero or negative by chance."
    return words


def metric_lines(scores: Mapping[str, MetricReport]) -> str:
    """Give each metric's nested mean, deviation, interval, flat best and optimism."""
    width = max(len(name) for name in scores)
    return "\n".join(
        f"{name:<{width}}  nested {one.mean:.4f} +/- {one.std:.4f} ({interval_words(one)})"
        + ("" if math.isnan(one.flat_best) else f"; flat best {one.flat_best:.4f}, optimism {one.optimism:+.4f}")
        for name, one in scores.items()
    )


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
    return (
        f"{n_fits} failed fits of earlier runs are forgotten and run again; where one does well now, a search that adapts "
        "may ask otherwise than before"
    )


def duration(seconds: float) -> str:
    """Word a duration.

    Examples
    --------
    >>> duration(7.25), duration(200)
    ('7.2 s', '3 min 20 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
