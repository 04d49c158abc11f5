"""YAML as people mean it: numbers are numbers, ``no`` is a word, and a key stands once."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from foldwise.errors import InputError
from foldwise.inputs.yaml_file import parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("+1.5e+3", 1500.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-3", -3),
        ("012", 12),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        # what YAML 1.1 takes for something else
        ("no", "no"),
        ("off", "off"),
        ("Yes", "Yes"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("=", "="),
        # what looks like a number and is none
        ("e5", "e5"),
        ("1e", "1e"),
        (".", "."),
        ("'1'", "1"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(parse_yaml(".nan", "here"))


plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"), max_size=8)
)
trees = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
)


@given(trees)
def test_what_the_safe_dumper_writes_is_read_back(tree):
    assert parse_yaml(yaml.safe_dump(tree), "here") == tree


def test_anchors_and_merges_work_and_own_keys_win():
    text = "{base: &b {a: 1}, one: {<<: *b, d: 2}, two: {deep: &e {<<: *b, a: 3}}, three: {<<: *e}, four: {<<: [*e, *b]}}"
    parsed = parse_yaml(text, "here")
    assert parsed["one"] == {"a": 1, "d": 2}
    assert parsed["two"] == {"deep": {"a": 3}}
    assert parsed["three"] == parsed["four"] == {"a": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "job.yaml: line 3: expected YAML, .*the key 'a' stands twice"),
        ("a: {b: 1, b: 2}", "job.yaml: line 1: .*the key 'b' stands twice"),
        ("true: 1\ntrue: 2", "job.yaml: line 2: .*the key True stands twice"),
        ("? [1]\n: 2", "job.yaml: line 1: .*a key must be a word"),
        ("? {a: 1}\n: 2", "job.yaml: line 1: .*a key must be a word"),
        ("a: [1, 2", "job.yaml: line 1: .*got '<stream end>'"),
        ("a:\n\t- b", "job.yaml: line 2: .*cannot start any token"),
        ("--- a\n--- b", "job.yaml: line 2: .*another document"),
        ("a: \x00", "job.yaml: .*unacceptable character"),
        ("a: !!python/object:os.system {}", "job.yaml: line 1: .*could not determine a constructor"),
        ("a: " + "9" * 5000, "job.yaml: .*digits"),
        ("[" * 2000 + "]" * 2000, "job.yaml: line 1: expected at most 50 levels"),
        ("a: !!timestamp x", "job.yaml: expected YAML"),
        ("a: !!bool maybe", "job.yaml: expected YAML"),
    ],
)
def test_what_is_no_yaml_is_refused_in_one_line_with_its_place(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_yaml(text, "job.yaml")
    assert "\n" not in str(caught.value)


def test_a_file_is_read_as_utf_8(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes("\ufeffname: Größe".encode())
    assert read_yaml(path) == {"name": "Größe"}


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"name: Gr\xf6\xdfe")
    for path, reason in [
        (tmp_path / "no.yaml", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "latin.yaml", "not UTF-8"),
    ]:
        with pytest.raises(InputError, match=rf"{path}: expected a readable file \(.*{reason}"):
            read_yaml(path)
