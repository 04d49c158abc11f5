"""Wide and deep: what a table becomes, and what becomes of categories that training never met."""

import numpy as np
import pandas as pd
import pytest

from foldwise.errors import DataError, InputError
from foldwise.models import WideDeepClassifier
from foldwise.models.tables import MISSING, UNSEEN, Cross, Numbers, TableEncoder, Vocabulary, columns_of

SMALL = {"random_state": 0, "epochs": 3, "learning_rate": 0.02}


def encoder(frame, crosses=(), part="both", buckets=None, min_count=1):
    return TableEncoder.of(frame, "auto", "auto", crosses, part, buckets, min_count)


def test_columns_are_told_apart_by_type_or_by_name():
    frame = pd.DataFrame({"n": [1, 2], "t": ["a", "b"], "b": [True, False], "c": pd.Categorical(["x", "y"]), "f": [0.5, None]})
    assert columns_of(frame, "auto", "auto") == (["n", "f"], ["t", "b", "c"])
    assert columns_of(frame, "auto", ["n", "t"]) == (["f"], ["n", "t"])
    assert columns_of(frame, ["f"], "auto") == (["f"], ["t", "b", "c"])
    assert columns_of(frame, [], ["t"]) == ([], ["t"])


def test_columns_that_cannot_be_are_named():
    frame = pd.DataFrame({"n": [1, 2], "t": ["a", "b"], "when": pd.to_datetime(["2020", "2021"])})
    with pytest.raises(DataError, match=r"X: expected columns of numbers, texts or categories, got 'when'"):
        columns_of(frame, "auto", "auto")
    with pytest.raises(InputError, match=r"categorical: expected columns of X, got 'tt'; did you mean t?"):
        columns_of(frame, ["n"], ["tt"])
    with pytest.raises(InputError, match=r"numeric: .* got 'n' as both"):
        columns_of(frame, ["n"], ["n"])
    with pytest.raises(DataError, match=r"X: expected at least one column"):
        columns_of(frame, [], [])
    with pytest.raises(DataError, match=r"X: expected numbers in the column 't'"):
        TableEncoder.of(frame, ["t"], [], (), "both", None, 1)
    with pytest.raises(InputError, match=r"crosses: expected categorical columns of X, got 'n'"):
        encoder(frame[["n", "t"]], crosses=[["t", "n"]])


def test_numbers_are_scaled_by_what_is_there_and_a_flag_tells_what_is_not():
    frame = pd.DataFrame({"a": [1.0, 3.0, np.nan], "b": [5, 5, 5]})
    scaled, flag = Numbers.of(frame, "a").encode(frame)
    assert scaled.tolist() == [-1, 1, 0]
    assert flag.tolist() == [0, 0, 1]
    assert [column.tolist() for column in Numbers.of(frame, "b").encode(frame)] == [[0, 0, 0]]
    with pytest.raises(DataError, match=r"infinity in the column 'a'"):
        Numbers.of(frame.assign(a=np.inf), "a")


def test_categories_have_codes_of_their_own_whatever_the_order_of_rows():
    frame = pd.DataFrame({"c": ["b", "a", None, "b", "rare"]})
    words = Vocabulary.of(frame, "c", min_count=1)
    assert words.known == ("a", "b", "rare")
    assert words == Vocabulary.of(frame[::-1], "c", min_count=1)
    assert words.encode(frame).tolist() == [3, 2, MISSING, 3, 4]
    assert words.encode(pd.DataFrame({"c": ["new", "a"]})).tolist() == [UNSEEN, 2]
    assert Vocabulary.of(frame, "c", min_count=2).encode(frame).tolist() == [2, UNSEEN, MISSING, 2, UNSEEN]


@pytest.mark.parametrize("dtype", ["object", "str", "category", "Int64", "float64", "bool"])
def test_any_type_of_category_is_found_again(dtype):
    values = pd.Series([1, 0, 1, 0], dtype="Int64" if dtype == "Int64" else None).astype(dtype if dtype != "Int64" else "Int64")
    words = Vocabulary.of(pd.DataFrame({"c": values}), "c", 1)
    codes = words.encode(pd.DataFrame({"c": values}))
    assert codes.tolist() == [3, 2, 3, 2]


def test_crosses_are_one_hot_or_hashed():
    codes = np.array([[2, 3], [2, 2], [3, 3], [2, 3], [MISSING, 3], [UNSEEN, 3]])
    exact = Cross.of(codes, [0, 1], [4, 4], None, 1)
    got = exact.encode(codes)
    assert got[0] == got[3]
    assert len(set(got.tolist())) == 5
    assert (got[5], exact.size) == (0, 5)  # a part that is unseen makes the whole unseen
    assert exact.encode(np.array([[3, 2]])).tolist() == [0]
    assert Cross.of(codes, [0, 1], [4, 4], None, 2).size == 2  # only what stands twice
    hashed = Cross.of(codes, [0, 1], [4, 4], 10, 1)
    assert hashed.size == 11
    assert set(hashed.encode(codes)[:5]) <= set(range(1, 11))
    assert hashed.encode(codes)[5] == 0
    many = np.array([[a, b] for a in range(2, 102) for b in range(2, 102)])
    counts = np.bincount(Cross.of(many, [0, 1], [102, 102], 64, 1).encode(many), minlength=65)[1:]
    assert counts.min() > 100  # 156 in each on average: they are spread evenly
    with pytest.raises(InputError, match=r"crosses: expected fewer than"):
        Cross.of(codes, [0, 1], [2**40, 2**40], None, 1)


def test_each_side_gets_what_it_needs(census):
    frame, _ = census
    crosses = [["work", "school"]]
    both = encoder(frame, crosses)
    assert set(both.inputs) == set(both.encode(frame)) == {"numbers", "codes", "wide"}
    assert both.inputs["wide"].sizes == (5, 5, 10)
    wide = both.encode(frame)["wide"]
    assert (wide.min(axis=0) >= [0, 5, 10]).all()  # one numbering of all columns
    assert (wide.max(axis=0) < [5, 10, 20]).all()
    assert set(encoder(frame, crosses, part="deep").inputs) == {"numbers", "codes"}
    assert set(encoder(frame, crosses, part="wide").inputs) == {"numbers", "wide"}
    assert set(encoder(frame[["work"]]).inputs) == {"codes", "wide"}


@pytest.mark.parametrize("part", ["wide", "deep", "both"])
def test_each_part_learns_what_it_can(part, census):
    frame, y = census
    options = {**SMALL, "epochs": 40}
    model = WideDeepClassifier(part=part, **options).fit(frame, y)
    crossed = model if part == "deep" else WideDeepClassifier(part=part, crosses=[["work", "school"]], **options).fit(frame, y)
    assert crossed.score(frame, y) > 0.9
    # An exclusive or of two columns is no sum of them; a cross makes it one.
    assert part != "wide" or model.score(frame, y) < 0.9


@pytest.mark.parametrize("part", ["wide", "deep", "both"])
def test_what_training_never_met_leaves_a_prediction_as_it_is(part, census):
    frame, y = census
    model = WideDeepClassifier(part=part, crosses=[["work", "school"]], weight_decay=0.01, **SMALL).fit(frame, y)
    new = frame.head(3).assign(work=["new", "other", None])
    outputs = model.predict_proba(new.assign(age=50.0, school="none"))
    assert np.ptp(outputs[:, 1]) < 1e-6  # three that are unknown alike, and no noise of weights that were never trained
    assert np.isfinite(model.predict_proba(new.assign(age=np.nan, school=None))).all()


def test_a_table_without_names_and_of_mixed_values(census):
    frame, y = census
    named = WideDeepClassifier(crosses=[["work", "school"]], **SMALL).fit(frame, y)
    array = WideDeepClassifier(crosses=[[1, 2]], **SMALL).fit(frame.to_numpy(dtype=object), y)
    assert array.predict_proba(frame.to_numpy(dtype=object)) == pytest.approx(named.predict_proba(frame))
    assert named.feature_names_in_.tolist() == list(frame.columns)
    with pytest.raises(ValueError, match=r"feature names"):
        named.predict(frame.rename(columns={"work": "job"}))
