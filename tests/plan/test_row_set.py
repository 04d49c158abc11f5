"""Row sets are the splitter's rows in the splitter's order, with the same keys, in few bytes."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    LeavePGroupsOut,
    LeavePOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)

from foldwise.data import Dataset
from foldwise.keys import Deferred, digest, digest_rows
from foldwise.plan.folds import nested_folds
from foldwise.plan.row_set import Joined, Labelled, Listed, Range, RowSets, Without, describe_folds

N = 48
Y = np.arange(N) % 2
GROUPS = np.arange(N) % 12
MILLION = 1_000_000


class Permuted:
    """K folds whose rows come in a drawn order, on both sides."""

    def __init__(self, n_folds, seed=0, *, sort_held_out=False):
        self.n_folds, self.seed, self.sort_held_out = n_folds, seed, sort_held_out

    def split(self, X, y=None, groups=None):
        parts = np.array_split(np.random.default_rng(self.seed).permutation(len(X)), self.n_folds)
        for number, part in enumerate(parts):
            others = [other for at, other in enumerate(parts) if at != number]
            yield np.concatenate(others), np.sort(part) if self.sort_held_out else part

    def get_n_splits(self, X=None, y=None, groups=None):
        return self.n_folds


class HoldOut:
    """One fold, some of whose rows are on neither side."""

    def split(self, X, y=None, groups=None):
        yield np.arange(0, len(X) - 10), np.arange(len(X) - 5, len(X))

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


SPLITTERS = [
    KFold(5), KFold(4, shuffle=True, random_state=1), StratifiedKFold(3), StratifiedKFold(5, shuffle=True, random_state=2),
    GroupKFold(4), GroupKFold(3, shuffle=True, random_state=0), StratifiedGroupKFold(3), LeaveOneGroupOut(),
    LeavePGroupsOut(2), LeaveOneOut(), LeavePOut(2), RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    RepeatedStratifiedKFold(n_splits=4, n_repeats=3, random_state=0), ShuffleSplit(4, random_state=0),
    StratifiedShuffleSplit(3, random_state=0), GroupShuffleSplit(3, random_state=0), TimeSeriesSplit(4),
    TimeSeriesSplit(3, gap=2, max_train_size=20), PredefinedSplit(np.arange(N) % 4 - 1), Permuted(5), HoldOut(),
    Permuted(4, sort_held_out=True),
]  # fmt: skip


def pairs_of(splitter):
    groups = GROUPS if "Group" in type(splitter).__name__ else None
    return [(np.asarray(a), np.asarray(b)) for a, b in splitter.split(np.zeros((N, 1)), Y, groups)]


def assert_same_rows(described, pairs):
    assert len(described) == len(pairs)
    for found, expected in zip(described, pairs, strict=True):
        for rows, numbers in zip(found, expected, strict=True):
            made = rows.numbers()
            assert made.dtype == np.int64
            assert made.tolist() == numbers.tolist()
            assert len(rows) == len(numbers)
            assert rows.key == digest_rows(numbers)
            marks = np.zeros(N, dtype=bool)
            rows.mark(marks)
            assert set(np.flatnonzero(marks)) == set(numbers.tolist())


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda one: f"{type(one).__name__}")
def test_folds_are_described_row_by_row_in_the_splitters_order(splitter):
    pairs = pairs_of(splitter)
    described = describe_folds(pairs, Range(0, N), N)
    assert_same_rows(described, pairs)
    assert_same_rows(pickle.loads(pickle.dumps(described)), pairs)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_folds_are_described_row_by_row(data):
    rows = st.lists(st.integers(0, N - 1), min_size=1, max_size=N)
    pairs = data.draw(st.lists(st.tuples(rows.map(np.array), rows.map(np.array)), min_size=1, max_size=5))
    assert_same_rows(describe_folds(pairs, Range(0, N), N), pairs)


@settings(max_examples=40, deadline=None)
@given(outer=st.sampled_from(SPLITTERS), inner=st.sampled_from([KFold(2), KFold(3, shuffle=True, random_state=0), Permuted(3)]))
def test_inner_folds_of_a_splitter_are_its_rows_in_its_order(outer, inner):
    data = Dataset(np.zeros((N, 1)), Y)
    outer_pairs = pairs_of(outer) if not isinstance(outer, LeavePOut) else pairs_of(outer)[:3]
    folds = nested_folds(data, outer_pairs, inner, classifier=False, seed=0)
    for found, (train, _) in zip(folds.inner, outer_pairs, strict=True):
        pairs = [(train[a], train[b]) for a, b in inner.split(np.zeros((len(train), 1)))]
        assert_same_rows([(fold.train, fold.held_out) for fold in found], pairs)


@pytest.mark.parametrize(
    "splitter",
    [KFold(5), StratifiedKFold(5, shuffle=True, random_state=2), LeaveOneGroupOut(), Permuted(5),
     RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), Permuted(4, sort_held_out=True)],
    ids=lambda one: f"{type(one).__name__}",
)  # fmt: skip
def test_shared_inner_folds_are_the_outer_train_rows_without_another_fold(splitter):
    pairs = pairs_of(splitter)
    folds = nested_folds(Dataset(np.zeros((N, 1)), Y), pairs, "shared", classifier=False, seed=0)
    for (train, _), inner in zip(pairs, folds.inner, strict=True):
        expected = [(train[~np.isin(train, fold.held_out.numbers())], fold.held_out.numbers()) for fold in inner]
        assert_same_rows([(fold.train, fold.held_out) for fold in inner], expected)


def test_a_set_without_two_folds_is_known_once():
    folds = nested_folds(
        Dataset(np.zeros((N, 1)), Y), KFold(5, shuffle=True, random_state=0), "shared", classifier=False, seed=0
    )
    train = {id(fold.train) for inner in folds.inner for fold in inner}
    assert len(train) == 10
    assert all(isinstance(fold.train, Without) for inner in folds.inner for fold in inner)


def test_each_form_says_how_many_rows_it_has():
    labels = np.array([0, 1, 1, 0, 2], dtype=np.uint8)
    for rows in (Range(2, 5), Listed(np.array([3, 1], dtype=np.int32)), Labelled(labels, 1, 2),
                 Joined((Range(0, 2), Listed(np.array([4], dtype=np.int32)))), Without(Range(0, 5), (Labelled(labels, 1, 2),), 5)):  # fmt: skip
        assert len(rows) == len(rows.numbers())


# --- by key -----------------------------------------------------------------------------------------------------------


def test_rows_by_key_are_made_when_asked_for_and_not_to_be_written_into():
    rows = RowSets({"a": Range(0, 5), "b": Listed(np.array([3, 1], dtype=np.int32))})
    assert rows["b"].tolist() == [3, 1]
    assert rows["a"] is rows["a"]
    assert (list(rows), len(rows), rows.size("a"), "c" in rows) == (["a", "b"], 2, 5, False)
    with pytest.raises(ValueError, match="read-only"):
        rows["a"][0] = 1
    with pytest.raises(KeyError):
        rows["c"]


def test_two_keys_of_one_set_stay_so_when_they_travel():
    whole = Range(0, 5)
    rows = RowSets({"a": whole, "b": whole, "c": Range(0, 5)})
    assert rows["a"].tolist() == [0, 1, 2, 3, 4]
    for one in (rows, pickle.loads(pickle.dumps(rows))):
        assert one.are_same("a", "b")
        assert not one.are_same("a", "c")


def test_a_deferred_value_has_the_key_of_the_value():
    rows = np.arange(5)
    assert digest([Deferred(lambda: rows)], 1) == digest([rows], 1)


# --- sizes ------------------------------------------------------------------------------------------------------------


def planned(n_rows, outer, inner):
    """Row sets of a plan, as `Plan.of` keeps them."""
    folds = nested_folds(Dataset(np.zeros((n_rows, 1)), None), outer, inner, classifier=False, seed=0)
    sets = [one for fold in (*folds.outer, *folds.choosing) for one in (fold.train, fold.held_out)]
    return folds, RowSets({one.key: one for one in [*sets, Range(0, n_rows)]})


@pytest.mark.parametrize(
    ("outer", "inner", "most"),
    [
        (KFold(10), "shared", 0.1), (KFold(10, shuffle=True, random_state=0), "shared", 1.1), (Permuted(10), "shared", 4.2),
        (KFold(10, shuffle=True, random_state=0), KFold(10, shuffle=True, random_state=0), 12.5),
    ],
    ids=["ranges", "shuffled", "in another order", "an inner splitter"],
)  # fmt: skip
def test_row_sets_of_ten_folds_take_few_bytes_a_row(outer, inner, most):
    n_rows = 200_000
    folds, rows = planned(n_rows, outer, inner)
    assert len(pickle.dumps(rows)) <= most * n_rows + 100_000
    assert len(pickle.dumps(folds)) <= most * n_rows + 100_000
    assert most * MILLION <= 16e6


def test_a_worker_holds_few_bytes_a_row_whatever_it_was_asked_for():
    n_rows = 200_000
    _, rows = planned(n_rows, KFold(10, shuffle=True, random_state=0), "shared")
    content = pickle.dumps(rows)
    del rows, _
    tracemalloc.start()
    try:
        opened = pickle.loads(content)
        for key in opened:
            opened[key]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held <= 1.1 * n_rows + 2.2 * 2**20  # the second term does not grow with the rows
