"""Values of params: plain ones come back from JSON as they were, others as reports print them."""

import json
import math

import numpy as np
import pytest
from sklearn.svm import SVC

from foldwise.reduce.records import dumps, loads
from foldwise.reduce.values import ShownValue, as_text, decode, encode, plain, show


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 2**70, -0.0, 0.1 + 0.2, math.inf, "rbf", "", [1, [2.5, None]], (1, ("a",)), {"a": 1}, {1: (2,), None: []}, np.float64(0.1),
        np.float32(0.1), np.int64(-3), np.bool_(True), np.str_("x"), [np.float64(1), math.inf],
    ],
)  # fmt: skip
def test_plain_values_come_back_as_they_were(value):
    again = decode(loads(dumps(encode("C", value))))
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)


def test_nan_comes_back():
    assert math.isnan(decode(loads(dumps(encode("C", math.nan)))))


@pytest.mark.parametrize(
    "value", [SVC(C=2), len, SVC, np.arange(3), {1, 2}, [SVC()], np.datetime64("2020"), b"x", np.complex128(1), range(3)]
)
def test_objects_come_back_as_they_are_shown(value):
    again = decode(json.loads(json.dumps(encode("C", value))))
    assert isinstance(again, ShownValue)
    assert (show(again), plain(again)) == (show(value), plain(value))
    assert repr(again) == as_text(value)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("token", "abc", "***"),
        ("token", SVC(), "***"),
        ("C", "token=abc", "token=***"),
        ("C", ["http://u:p@h/x"], "['http://h/x']"),
    ],
)
def test_secrets_do_not_come_back(name, value, shown):
    assert show(decode(encode(name, value))) == shown


def test_a_value_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected a value of a known kind, got 'set'"):
        decode({"set": [1]})
