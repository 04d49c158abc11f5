"""Errors say where, what and how to mend it; they survive a process boundary."""

import builtins
import pickle

import pytest

from foldwise import errors
from foldwise.errors import (
    ClusterError,
    Failure,
    FitFailedError,
    InputError,
    InputTypeError,
    MissingPackageError,
    RunError,
    SpaceError,
    StudyFailedError,
    TrackingError,
    failed,
    nearest,
)

INPUT_ERRORS = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, InputError)
]  # fmt: skip


def test_a_message_names_the_file_the_place_and_the_problem():
    error = InputError("search.trials", "expected an integer >= 1, got 0", "jobs/x.yaml")
    assert str(error) == "jobs/x.yaml: search.trials: expected an integer >= 1, got 0"


def test_a_message_leaves_out_what_is_not_known():
    assert str(InputError("", "expected a mapping, got 1")) == "expected a mapping, got 1"


def test_a_message_is_one_line_whatever_was_given():
    assert (
        str(InputError("space", "expected a list,\n   got Pipeline(\n\tSVC())"))
        == "space: expected a list, got Pipeline( SVC())"
    )


@pytest.mark.parametrize("kind", INPUT_ERRORS)
def test_an_input_error_keeps_all_it_says_through_pickle(kind):
    error = pickle.loads(pickle.dumps(kind("C", "expected a number", "a.yaml")))
    assert type(error) is kind
    assert (error.place, error.problem, error.source) == ("C", "expected a number", "a.yaml")
    assert str(error) == "a.yaml: C: expected a number"


@pytest.mark.parametrize(
    ("kind", "builtin"), [(InputError, ValueError), (InputTypeError, TypeError), (MissingPackageError, ImportError)]
)
def test_an_input_error_is_also_of_the_built_in_type_that_fits(kind, builtin):
    with pytest.raises(builtin, match=r"^C: expected a number$"):
        raise kind("C", "expected a number")


def test_a_moved_error_is_said_of_another_place():
    moved = SpaceError("C", "expected low < high", "a.yaml").moved("space.C")
    assert type(moved) is SpaceError
    assert str(moved) == "a.yaml: space.C: expected low < high"
    assert str(SpaceError("C", "expected low < high").moved("C", "b.yaml")) == "b.yaml: C: expected low < high"


@pytest.mark.parametrize(
    "kind", ["ValueError", "ZeroDivisionError", "KeyError", "MemoryError", "OSError", "UnicodeDecodeError"]
)
def test_a_failure_is_also_of_its_causes_common_type(kind):
    error = failed(StudyFailedError, "no trial of a study\nfinished", [Failure(kind, "x"), Failure(kind, "y")])
    assert isinstance(error, StudyFailedError)
    assert isinstance(error, getattr(builtins, kind))
    assert str(error) == "no trial of a study\nfinished"
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, StudyFailedError)
    assert isinstance(again, getattr(builtins, kind))
    assert str(again) == str(error)


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        ("ValueError", "TypeError"),
        ("NonFiniteScore",),
        ("KeyboardInterrupt",),  # is not an Exception
        ("print",),  # is no class
        ("RuntimeError",),  # which it is anyway
        ("Exception",),
    ],
)
def test_a_failure_without_a_common_type_is_itself(kinds):
    error = failed(FitFailedError, "a fit failed", [Failure(kind, "x") for kind in kinds])
    assert type(error) is FitFailedError
    assert str(error) == "a fit failed"


def test_a_failure_says_its_kind_and_message():
    assert str(Failure("ValueError", "gamma must be positive")) == "ValueError: gamma must be positive"


def test_the_nearest_name_is_suggested():
    assert nearest("trails", ["trials", "batch"]) == "did you mean trials? Known: trials, batch"


def test_no_name_is_suggested_where_none_is_near():
    assert nearest("zzz", ["trials", "batch"]) == "Known: trials, batch"
    assert nearest("zzz", []) == "Known: none"


def test_a_long_list_of_names_is_cut():
    assert nearest("x", [f"name{i:03}" for i in range(100)]).endswith("name029, ...")


def test_what_cannot_be_printed_is_escaped_and_what_is_long_loses_its_middle():
    error = InputError("a\x1b\x85", "expected text, got " + "x" * 5000 + "; write less\x07", "job.yaml")
    assert str(error).isprintable()
    assert str(error).startswith(r"job.yaml: a\x1b\x85: expected text, got xxx")
    assert str(error).endswith(r"xxx; write less\x07")
    assert len(str(error)) < 1100


@pytest.mark.parametrize("kind", [RunError, ClusterError, TrackingError])
def test_no_error_tells_a_password(kind):
    said = str(kind("expected the Ray at 'ray://ann:s3cr3t@host:10001' to be reached, got postgresql://host?password=s3cr3t"))
    assert said == "expected the Ray at 'ray://host:10001' to be reached, got postgresql://host?password=***"
