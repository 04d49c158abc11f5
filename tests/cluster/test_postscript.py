"""What a driver says last is read back from its log, whatever else stands in it."""

from base64 import b64encode
from dataclasses import replace
from zlib import compress

import pytest

from foldwise.cluster.postscript import Postscript, before_report, last_line, last_progress, shown
from foldwise.errors import ClusterError, InputError
from foldwise.executors import SerialExecutor
from foldwise.loop.run import Run
from foldwise.report import Report
from foldwise.testing import small_plan


@pytest.fixture(scope="module")
def archive():
    return replace(Run(small_plan(), SerialExecutor()).execute(), seconds=1.0)


@pytest.mark.parametrize("code", [0, 1, 130])
def test_it_is_read_back_though_the_log_does_not_end_with_a_line(archive, code):
    for postscript in (Postscript.of(code, archive), Postscript(code)):
        assert Postscript.read(f"progress\nhalf a line{postscript}\n") == postscript


def test_its_report_is_the_drivers_to_the_byte(archive):
    there, here = Report(archive), Report(Postscript.read(str(Postscript.of(0, archive))).archive())
    assert (str(here), here.to_json()) == (str(there), there.to_json())


def test_the_last_one_counts_and_half_of_one_is_none(archive):
    whole = str(Postscript.of(0, archive))
    assert Postscript.read(f"{Postscript(2)}\n{whole}\n").code == 0
    assert Postscript.read(whole[:-5]) is None
    assert Postscript.read("Fitting 3 trials\n") is None


@pytest.mark.parametrize(
    ("packed", "error"),
    [
        ("***", ClusterError),
        (b64encode(b"no archive").decode(), ClusterError),
        (b64encode(compress(b"half of one")[:-4]).decode(), ClusterError),
        (b64encode(compress(b"no JSON")).decode(), InputError),
        (b64encode(compress(b'{"version": 0}')).decode(), InputError),
    ],
)
def test_what_cannot_be_read_is_said_and_its_code_stands(packed, error):
    postscript = Postscript(1, packed)
    assert postscript.code == 1
    with pytest.raises(error, match="expected"):
        postscript.archive()


def test_people_see_the_report_and_not_the_line_for_machines(archive):
    report = str(Report(archive))
    lines = f"progress\n{Postscript.of(0, archive)}\n".splitlines()
    assert list(shown(lines)) == ["progress", "", "==== report ====", *report.split("\n")]
    assert list(before_report(["", "a", "", *lines])) == ["", "a", "", "progress"]
    assert last_progress("\n".join(lines)) == "progress"
    assert last_line("\n".join(lines)) == report.split("\n")[-1].strip()
