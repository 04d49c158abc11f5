"""Results as a table for people, and as a chart for the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_Result = Mapping[str, Any]
_CHARTED = ("digits", "prefix")


def as_table(results: Sequence[_Result]) -> str:
    """Show each case's figures, the fastest first, and whether its ratios hold."""
    return "\n\n".join("\n".join(_lines(result)) for result in results)


def _lines(result: _Result) -> list[str]:
    small = ", small" if result["small"] else ""
    lines = [f"{result['case']}: {result['title']} ({result['took']:.0f} s{small})"]
    own = result["figures"].get("foldwise")
    for name, value in sorted(result["figures"].items(), key=lambda pair: pair[1]):
        beside = f"{own / value:8.2f} x" if own is not None and value and name != "foldwise" else ""
        lines.append(f"  {name:<44} {value:12.4g} {result['unit']:<14}{beside}")
    for ratio in result["ratios"]:
        sign, holds = (">=" if ratio["at_least"] else "<="), "reached" if ratio["holds"] else "NOT REACHED"
        lines.append(f"  {ratio['name']:<44} {ratio['value']:12.4g} {sign} {ratio['limit']:<11.4g} {holds}")
    return [*lines, *(f"  {note}" for note in result["notes"])]


def draw(results: Sequence[_Result], path: Path) -> None:
    """Draw the seconds of the races: one panel per case, foldwise in colour."""
    import matplotlib  # lazily: only the chart needs it

    matplotlib.use("Agg")
    from matplotlib import pyplot

    charted = [result for result in results if result["case"] in _CHARTED]
    if not charted:
        return
    figure, panels = pyplot.subplots(1, len(charted), figsize=(5.2 * len(charted), 2.9), squeeze=False)
    for panel, result in zip(panels[0], charted, strict=True):
        bars = sorted(result["figures"].items(), key=lambda pair: -pair[1])
        colours = ["#1f6f8b" if name == "foldwise" else "#e0b34c" if name == "the bound" else "#c9ced6" for name, _ in bars]
        drawn = panel.barh([name for name, _ in bars], [value for _, value in bars], color=colours)
        panel.bar_label(drawn, fmt="%.1f s", padding=3, fontsize=8)
        panel.set_title(result["title"], fontsize=9)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right", "bottom"]].set_visible(False)
        panel.xaxis.set_visible(False)
        panel.margins(x=0.15)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
