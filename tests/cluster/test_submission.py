"""Names of what is submitted, and which attempt a name means."""

import pytest

from foldwise.cluster.submission import Submission, SubmissionState, attempt_of, find, latest_of, series_name, series_of
from foldwise.errors import ClusterError

A, B = "digits-svm-0a1b2c3d", "digits-svm-99999999"


def submission(name, state="SUCCEEDED", started=0.0, job="digits svm"):
    return Submission(name, job, SubmissionState(state), started)


SEEN = [submission(f"{A}-1", "STOPPED", 1.0), submission(f"{A}-2", started=2.0), submission(f"{B}-1", started=3.0),
        submission("iris-12345678-1", started=4.0, job="iris"), submission(f"{A}-10", "FAILED", 2.5)]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("digits svm", f"{B}-1"),
        ("digits-svm", f"{B}-1"),
        (A, f"{A}-10"),
        (f"{A}-1", f"{A}-1"),
        ("iris", "iris-12345678-1"),
    ],
)
def test_a_name_means_its_latest_attempt_and_an_id_itself(name, meant):
    assert find(name, SEEN, "here").id == meant


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ClusterError, match=r"submitted to here, got 'irsi'; did you mean iris\?"):
        find("irsi", SEEN, "here")


def test_the_latest_attempt_is_told_by_its_number():
    assert latest_of(A, SEEN).attempt == 10
    assert latest_of("nothing-00000000", SEEN) is None


@pytest.mark.parametrize("job", ["a", "Ein Käse!", "../../etc/passwd", "x" * 300, "---", "a\u4e2db", "a-1"])
def test_any_name_becomes_an_id_that_is_read_back(job):
    series = series_name(job, "0123456789abcdef")
    assert all(character.isascii() and (character.isalnum() or character in "-_.") for character in series)
    assert len(series) < 80
    assert (series_of(f"{series}-7"), attempt_of(f"{series}-7")) == (series, 7)


def test_only_what_failed_or_was_stopped_is_begun_anew():
    assert {state.value for state in SubmissionState if not state.is_worth_joining} == {"FAILED", "STOPPED"}
    assert {state.value for state in SubmissionState if not state.is_over} == {"PENDING", "RUNNING"}
