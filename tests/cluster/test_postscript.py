"""What a driver says last is read back from its log, whatever else stands in it."""

import pytest

from foldwise.cluster.postscript import Postscript, RemoteReport, before_report, last_line, last_progress, shown

REPORT = RemoteReport('a "report"\n\nof 2 lines', {"job": "x", "scores": [1.0, None]})


@pytest.mark.parametrize("postscript", [Postscript(0, REPORT), Postscript(1), Postscript(130, REPORT)])
def test_it_is_read_back_though_the_log_does_not_end_with_a_line(postscript):
    assert Postscript.read(f"progress\nhalf a line{postscript}\n") == postscript


def test_the_last_one_counts_and_half_of_one_is_none():
    assert Postscript.read(f"{Postscript(2)}\n{Postscript(0, REPORT)}\n").code == 0
    assert Postscript.read(str(Postscript(0, REPORT))[:-5]) is None
    assert Postscript.read("Fitting 3 trials\n") is None


def test_people_see_the_report_and_not_the_line_for_machines():
    lines = f"progress\n{Postscript(0, REPORT)}\n".splitlines()
    assert list(shown(lines)) == ["progress", "", "==== report ====", *REPORT.text.split("\n")]
    assert list(before_report(["", "a", "", *lines])) == ["", "a", "", "progress"]
    assert last_progress("\n".join(lines)) == "progress"
    assert last_line("\n".join(lines)) == "of 2 lines"
