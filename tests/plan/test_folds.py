"""Folds: scikit-learn's own, in both loops, and never such as would give a score that is not honest."""

import itertools
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    LeavePOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    check_cv,
)

from foldwise.data import Dataset
from foldwise.errors import FoldsError
from foldwise.plan.folds import nested_folds

N = 60
LABELS = np.tile([0, 1, 2], N // 3)
GROUPS = np.repeat(np.arange(12), 5)
X = np.arange(2 * N, dtype=float).reshape(N, 2)


def dataset(y=LABELS, groups=None):
    return Dataset(X[: len(y)], y, groups)


def nested(data=None, outer=5, inner="shared", *, classifier=True, seed=0, repeats=1):
    return nested_folds(dataset() if data is None else data, outer, inner, classifier=classifier, seed=seed, repeats=repeats)


def as_lists(folds):
    return [(fold.train.numbers().tolist(), fold.held_out.numbers().tolist()) for fold in folds]


def pairs_of(splitter, rows=None, y=LABELS, groups=None):
    rows = np.arange(len(y)) if rows is None else rows
    split = splitter.split(X[rows], y[rows], None if groups is None else groups[rows])
    return [(rows[a].tolist(), rows[b].tolist()) for a, b in split]


def check_honesty(folds, groups=None):
    """Assert what makes a nested score honest: nothing of an outer held-out set reaches the study that it judges."""
    for outer, inner in zip(folds.outer, folds.inner, strict=True):
        train, held_out = set(outer.train.numbers()), set(outer.held_out.numbers())
        assert train.isdisjoint(held_out)
        for fold in inner:
            assert set(fold.train.numbers()).isdisjoint(fold.held_out.numbers())
            assert set(fold.train.numbers()) <= train
            assert set(fold.held_out.numbers()) <= train
    if groups is not None:
        for fold in (*folds.outer, *itertools.chain(*folds.inner)):
            assert set(groups[fold.train.numbers()]).isdisjoint(groups[fold.held_out.numbers()])


# --- the splits of scikit-learn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "splitter",
    [
        KFold(5),
        KFold(4, shuffle=True, random_state=1),
        StratifiedKFold(3),
        StratifiedKFold(5, shuffle=True, random_state=3),
        RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
        RepeatedStratifiedKFold(n_splits=4, n_repeats=3, random_state=0),
        LeaveOneOut(),
        PredefinedSplit(np.arange(N) % 4),
        PredefinedSplit(np.arange(N) % 4 - 1),
    ],
    ids=repr,
)
def test_a_splitter_gives_exactly_its_splits_and_can_be_shared(splitter):
    folds = nested(outer=splitter, classifier=False)
    assert as_lists(folds.outer) == pairs_of(splitter)
    assert folds.shared
    check_honesty(folds)


@pytest.mark.parametrize(
    "splitter", [ShuffleSplit(3, random_state=0), StratifiedShuffleSplit(2, random_state=1), TimeSeriesSplit(4)]
)
def test_any_splitter_serves_as_the_inner_loop(splitter):
    folds = nested(outer=4, inner=splitter)
    for outer, inner in zip(folds.outer, folds.inner, strict=True):
        assert as_lists(inner) == pairs_of(splitter, outer.train.numbers())
    assert not folds.shared
    check_honesty(folds)


@pytest.mark.parametrize("classifier", [True, False])
@pytest.mark.parametrize(
    "y", [LABELS, np.array(["a", "b", "c"])[LABELS], np.linspace(0, 1, N)], ids=["labels", "text", "numbers"]
)
def test_a_number_means_what_check_cv_makes_of_it(y, classifier):
    folds = nested(dataset(y), 5, 4, classifier=classifier)
    expected = check_cv(5, y, classifier=classifier)
    assert as_lists(folds.outer) == [(a.tolist(), b.tolist()) for a, b in expected.split(X, y)]
    for outer, inner in zip(folds.outer, folds.inner, strict=True):
        assert as_lists(inner) == pairs_of(check_cv(4, y, classifier=classifier), outer.train.numbers(), y)


def test_a_list_of_splits_is_taken_as_it_is():
    pairs = [(a, b) for a, b in KFold(4).split(X)]
    masks = [(np.isin(np.arange(N), a), np.isin(np.arange(N), b)) for a, b in pairs]
    for cv in (pairs, masks, iter(pairs), [(a.tolist(), b.tolist()) for a, b in pairs]):
        assert as_lists(nested(outer=cv).outer) == pairs_of(KFold(4))


def test_rows_stay_in_the_splitters_order():
    pairs = [([5, 3, 1, 0], [4, 2]), ([4, 2, 1, 0], [3, 5]), ([2, 3, 5, 4], [0, 1])]
    data = Dataset(X[:6], LABELS[:6])
    assert as_lists(nested(data, pairs, 2, classifier=False).outer) == pairs
    shared = nested(data, pairs, classifier=False)
    assert as_lists(shared.inner[0]) == [([1, 0], [3, 5]), ([5, 3], [0, 1])]


# --- shared -----------------------------------------------------------------------------------------------------------


def test_shared_inner_folds_are_the_other_outer_folds():
    folds = nested(outer=4)
    for number, (outer, inner) in enumerate(zip(folds.outer, folds.inner, strict=True)):
        others = [fold for other, fold in enumerate(folds.outer) if other != number]
        assert [fold.held_out.numbers().tolist() for fold in inner] == [fold.held_out.numbers().tolist() for fold in others]
        for fold, other in zip(inner, others, strict=True):
            left = set(range(N)) - set(outer.held_out.numbers()) - set(other.held_out.numbers())
            assert set(fold.train.numbers()) == left
    check_honesty(folds)


def test_repeats_share_within_themselves():
    folds = nested(outer=RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), classifier=False)
    held_out = [set(fold.held_out.numbers()) for fold in folds.outer]
    for number, inner in enumerate(folds.inner):
        repeat = range(3) if number < 3 else range(3, 6)
        assert [set(fold.held_out.numbers()) for fold in inner] == [held_out[other] for other in repeat if other != number]
    check_honesty(folds)


def test_rows_that_are_never_held_out_stay_in_every_train_set():
    folds = nested(outer=PredefinedSplit(np.where(np.arange(N) < 10, -1, np.arange(N) % 3)))
    assert all(set(range(10)) <= set(fold.train.numbers()) for inner in folds.inner for fold in inner)
    check_honesty(folds)


@pytest.mark.parametrize(
    ("outer", "message"),
    [
        (
            2,
            "expected at least 3 outer folds to share them, got 2; use outer_cv=3 or more, or use inner_cv=5 or a",
        ),
        (RepeatedKFold(n_splits=2, n_repeats=3, random_state=0), "expected at least 3 outer folds to share them, got 2"),
        (
            ShuffleSplit(4, test_size=0.3, random_state=0),
            "expected outer folds that part the rows to share them, got held-out sets that overlap; use inner_cv=5",
        ),
        (ShuffleSplit(6, test_size=2, random_state=5), "expected outer folds that part the rows to share them"),
        (ShuffleSplit(1, test_size=0.3, random_state=0), "expected at least 3 outer folds to share them, got 1"),
        (
            ShuffleSplit(3, test_size=0.2, train_size=0.3, random_state=0),
            ".* got outer fold 0 with 18 train and 12 held-out rows of 60; use inner_cv=5",
        ),
        (TimeSeriesSplit(4), "expected outer folds that train on all other rows to share them, got outer fold 0"),
        (LeavePOut(N - 1), "expected outer folds that part the rows"),
    ],
    ids=repr,
)
def test_what_cannot_be_shared_is_refused_with_the_fix(outer, message):
    with pytest.raises(FoldsError, match=f"^inner_cv: {message}"):
        nested(outer=outer, classifier=False)
    if not isinstance(outer, LeavePOut):
        check_honesty(nested(outer=outer, inner=3, classifier=False))


def test_folds_in_the_order_of_time_are_known_as_such():
    assert nested(outer=TimeSeriesSplit(3), inner=TimeSeriesSplit(3), classifier=False).are_time_ordered
    assert not nested(outer=KFold(5), classifier=False).are_time_ordered


# --- groups -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classifier", "kind"), [(True, StratifiedGroupKFold), (False, GroupKFold)])
@pytest.mark.parametrize("inner", ["shared", 3])
def test_a_number_with_groups_keeps_them_together_in_both_loops(classifier, kind, inner):
    folds = nested(dataset(groups=GROUPS), 4, inner, classifier=classifier)
    assert as_lists(folds.outer) == pairs_of(kind(4), groups=GROUPS)
    if inner == 3:
        for outer, found in zip(folds.outer, folds.inner, strict=True):
            assert as_lists(found) == pairs_of(kind(3), outer.train.numbers(), groups=GROUPS)
    check_honesty(folds, GROUPS)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (LeaveOneGroupOut(), "shared"),
        (GroupKFold(3), LeaveOneGroupOut()),
        (GroupShuffleSplit(3, random_state=0), GroupKFold(3)),
        (GroupKFold(3, shuffle=True, random_state=0), "shared"),
    ],
)
def test_splitters_that_take_groups_get_them(outer, inner):
    folds = nested(dataset(groups=GROUPS.astype(str)), outer, inner)
    assert as_lists(folds.outer) == pairs_of(outer, groups=GROUPS.astype(str))
    check_honesty(folds, GROUPS)


@pytest.mark.parametrize(
    ("outer", "inner", "place"),
    [(KFold(7), "shared", "outer_cv"), (4, KFold(7), "inner_cv"), (RepeatedKFold(n_splits=3, random_state=0), 3, "outer_cv")],
)
def test_a_splitter_that_splits_a_group_is_refused(outer, inner, place):
    with pytest.raises(
        FoldsError, match=rf"^{place}: fold 0: expected each group on one side, got group \S+ on both; .*GroupKFold"
    ):
        nested(dataset(groups=GROUPS), outer, inner)


def test_a_splitter_that_happens_to_keep_groups_together_is_taken_in_silence():
    folds = nested(dataset(groups=GROUPS), KFold(4), classifier=False)
    check_honesty(folds, GROUPS)


def test_more_folds_than_groups_are_refused():
    with pytest.raises(FoldsError, match=r"^outer_cv: expected folds from GroupKFold.*number of groups: 12"):
        nested(dataset(groups=GROUPS), 13, classifier=False)
    with pytest.raises(FoldsError, match=r"^inner_cv: expected folds from GroupKFold.*number of groups: 9"):
        nested(dataset(groups=GROUPS), 4, 10, classifier=False)


# --- what is no splitter ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        (1, "shared", r"^outer_cv: expected 2 to 60 folds \(n_samples=60\), got 1$"),
        (61, "shared", r"^outer_cv: expected 2 to 60 folds \(n_samples=60\), got 61$"),
        (True, "shared", "^outer_cv: expected a number of folds, a splitter or a list of .* got True"),
        (None, "shared", "^outer_cv: expected a number of folds, a splitter or a list of .* got None"),
        ("shared", "shared", "^outer_cv: expected a number of folds, .* got 'shared'"),
        (2.5, 3, "^outer_cv: expected a number of folds, .* got 2.5"),
        (KFold, 3, r"^outer_cv: expected an instance, got the class KFold; write KFold\(\)"),
        ([], 3, r"^outer_cv: expected at least one \(train, held-out\) pair, got an empty list"),
        ([3], 3, r"^outer_cv: expected \(train, held-out\) pairs of row numbers, got 3"),
        ([([0], [1], [2])], 3, r"^outer_cv: expected \(train, held-out\) pairs of row numbers, got \(\[0\], \[1\], \[2\]\)"),
        ([([0, 1], [60])], 3, "^outer_cv: expected row numbers from 0 to 59, got 60 to 60"),
        ([([0, -1], [3])], 3, "^outer_cv: expected row numbers from 0 to 59, got -1 to 0"),
        ([([0.5, 1], [3])], 3, "^outer_cv: expected row numbers, got an array of float64"),
        (
            [([0, 1, 2], [2, 3])],
            3,
            "^outer_cv: fold 0: expected held-out rows that are not learned from, got 1 on both sides, first row 2",
        ),
        ([([0, 1], [])], 3, "^outer_cv: fold 0: expected rows on both sides, got 2 to train and 0 held out"),
        (StratifiedKFold(25), 3, r"^outer_cv: expected folds from StratifiedKFold\(.*got ValueError: n_splits=25"),
        (PredefinedSplit([-1] * N), 3, "^outer_cv: expected at least one fold, got none from PredefinedSplit"),
        (PredefinedSplit([0, 1] * N), 3, "^outer_cv: expected row numbers from 0 to 59, got 1 to 119"),
        (5, "sharde", "^inner_cv: expected 'shared', a number of folds or a splitter, got 'sharde'"),
        (5, 1, "^inner_cv: expected 2 to 60 folds .* got 1"),
        (5, True, "^inner_cv: expected 'shared', a number of folds or a splitter, got True$"),
        (5, None, "^inner_cv: expected 'shared', a number of folds or a splitter, got None$"),
        (5, b"shared", "^inner_cv: expected 'shared', a number of folds or a splitter, got b'shared'$"),
        ([([True] * 3, [False] * 3)], 3, r"^outer_cv: expected row numbers, got an array of bool and shape \(3,\)"),
        (
            5,
            [([0], [1])],
            r"^inner_cv: .* got \[\(\[0\], \[1\]\)\]; row numbers of the whole data cannot split the rows of each study",
        ),
        (5, iter([([0], [1])]), "^inner_cv: .* row numbers of the whole data cannot split the rows of each study"),
        (5, PredefinedSplit([0, 1, 2]), "^inner_cv: expected a PredefinedSplit as long as the data, 60 rows, got 3"),
        (5, KFold(49), r"^inner_cv: expected folds from KFold\(n_splits=49.*greater than the number of samples: n_samples=48"),
    ],
)
def test_what_gives_no_folds_is_refused_with_its_argument(outer, inner, message):
    with pytest.raises(FoldsError, match=message):
        nested(outer=outer, inner=inner)


def test_a_predefined_inner_split_is_that_of_the_studys_rows():
    test_fold = np.arange(N) // 2 % 3 - 1
    folds = nested(outer=4, inner=PredefinedSplit(test_fold))
    for outer, inner in zip(folds.outer, folds.inner, strict=True):
        assert [set(fold.held_out.numbers()) for fold in inner] == [
            set(outer.train.numbers()) & set(np.flatnonzero(test_fold == k)) for k in (0, 1)
        ]
    check_honesty(folds)


# --- repeats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_a_number_is_repeated_shuffled_anew(groups):
    folds = nested(dataset(groups=groups), 3, repeats=3)
    assert len(folds.outer) == 9
    repeats = [{tuple(sorted(fold.held_out.numbers())) for fold in folds.outer[i : i + 3]} for i in (0, 3, 6)]
    assert all(sorted(itertools.chain(*repeat)) == list(range(N)) for repeat in repeats)
    assert len({frozenset(repeat) for repeat in repeats}) == 3
    assert all(np.bincount(LABELS[fold.held_out.numbers()]).min() > 0 for fold in folds.outer)
    check_honesty(folds, groups)
    assert as_lists(nested(dataset(groups=groups), 3, repeats=3).outer) == as_lists(folds.outer)
    assert as_lists(nested(dataset(groups=groups), 3, repeats=3, seed=1).outer) != as_lists(folds.outer)


def test_repeats_beside_a_splitter_are_refused():
    with pytest.raises(FoldsError, match=r"^repeats: expected a number of folds beside repeats, got KFold.*use a Repeated"):
        nested(outer=KFold(3), repeats=2)
    with pytest.raises(FoldsError, match=r"^repeats: expected an integer from 1 to 1000, got 0"):
        nested(outer=3, repeats=0)


# --- seeds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: StratifiedKFold(4, shuffle=True),
        lambda: RepeatedKFold(n_splits=3, n_repeats=2),
        lambda: StratifiedKFold(4, shuffle=True, random_state=np.random.RandomState(3)),
        lambda: ShuffleSplit(3),
    ],
)
def test_a_splitter_without_a_seed_is_seeded_on_a_copy(make):
    outer, inner = make(), make()
    state = str(vars(outer))
    one, again = nested(outer=outer, inner=inner), nested(outer=outer, inner=inner)
    assert as_lists(one.outer) == as_lists(again.outer)
    assert [as_lists(folds) for folds in one.inner] == [as_lists(folds) for folds in again.inner]
    assert str(vars(outer)) == state
    other = nested(outer=make(), inner=3, seed=1)
    if "RandomState" in state:
        assert as_lists(other.outer) == as_lists(one.outer) == pairs_of(make())
    else:
        assert outer.random_state is None
        assert as_lists(other.outer) != as_lists(one.outer)


def test_a_splitter_that_does_not_shuffle_is_left_alone():
    assert as_lists(nested(outer=KFold(4), seed=1).outer) == pairs_of(KFold(4))


# --- classes ----------------------------------------------------------------------------------------------------------


def labels_with(*counts):
    return np.repeat(np.arange(len(counts)), counts)


def works(y, outer, inner="shared"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            nested(dataset(y), outer, inner)
        except FoldsError as error:
            return str(error)
    return True


def rare(*rows):
    return np.where(np.isin(np.arange(N), rows), 2, np.arange(N) % 2)


@pytest.mark.parametrize(
    ("y", "outer", "inner", "place"),
    [
        (rare(9, 10, 50), KFold(7), "shared", "outer_cv"),
        (rare(9, 12, 47, 55), KFold(10, shuffle=True, random_state=1), "shared", "outer_cv"),
        (rare(*range(52, 60)), KFold(5), "shared", "outer_cv"),
        (rare(*range(52, 60)), KFold(5), 3, "outer_cv"),
        (rare(17, 20, 23, 48, 52), KFold(4), KFold(6), "inner_cv"),
        (rare(6, 8, 35, 36), KFold(3), KFold(6), "inner_cv"),
        (rare(3, 25, 44), KFold(4, shuffle=True, random_state=0), KFold(5, shuffle=True, random_state=0), "inner_cv"),
    ],
)
def test_a_class_that_a_train_set_lacks_is_named_with_its_count_and_what_works(y, outer, inner, place):
    message = works(y, outer, inner)
    assert str(message).startswith(f"{place}: expected every train set to hold every class, got one without class 2, ")
    assert f"which has {(y == 2).sum()} of {N} rows; " in message
    largest = re.search(r"the largest number of folds that works is (\d+)$", message)
    asked = outer if place == "outer_cv" else inner

    def of(n):
        smaller = KFold(n, shuffle=asked.shuffle, random_state=asked.random_state)
        return (works(y, smaller, inner) if place == "outer_cv" else works(y, outer, smaller)) is True

    fewer = [n for n in range(2, asked.n_splits + 1) if of(n)]
    if largest is None:
        assert "no smaller number of folds works: use a stratified splitter" in message
        assert fewer == []
    else:
        assert int(largest[1]) == fewer[-1]


def test_the_largest_number_of_stratified_folds_that_works_is_told():
    y = labels_with(50, 2)  # shared folds leave out two folds, so two rows of a class never suffice
    with (
        pytest.warns(UserWarning, match="The least populated class"),
        pytest.raises(
            FoldsError, match=r"^outer_cv: .* without class 1, which has 2 of 52 rows; no smaller number of folds works"
        ),
    ):
        nested(dataset(y), 5)
    with (
        pytest.warns(UserWarning, match="The least populated class"),
        pytest.raises(FoldsError, match=r"^inner_cv: .* which has 2 of 52 rows; no smaller number of folds works"),
    ):
        nested(dataset(y), 2, 3)


def test_three_rows_of_a_class_suffice_for_three_shared_folds():
    with pytest.warns(UserWarning, match="The least populated class"):
        folds = nested(dataset(labels_with(40, 3)), 5)
    assert folds.shared


@pytest.mark.parametrize("y", [np.zeros(30, int), np.array(["a"] * 30), pd.Series(["a"] * 30)])
def test_one_class_is_refused(y):
    with pytest.raises(FoldsError, match=r"^y: expected at least two classes, got 1 class, .* in all 30 rows"):
        nested(dataset(y))


def test_labels_of_a_regressor_are_numbers():
    assert nested(dataset(np.zeros(30, int)), classifier=False).shared


@pytest.mark.parametrize("y", [np.eye(60, 3, dtype=int), np.tile([[0, 1], [1, 2]], (30, 1))])
def test_several_outputs_are_not_stratified(y):
    assert as_lists(nested(Dataset(X, y)).outer) == pairs_of(KFold(5), y=y)


def test_data_without_targets_is_split():
    assert as_lists(nested(Dataset(X)).outer) == pairs_of(KFold(5))


# --- properties -------------------------------------------------------------------------------------------------------

splitters = st.one_of(
    st.integers(3, 6),
    st.builds(lambda n, seed: KFold(n, shuffle=True, random_state=seed), st.integers(3, 6), st.integers(0, 99)),
    st.builds(lambda n, seed: RepeatedKFold(n_splits=n, n_repeats=2, random_state=seed), st.integers(3, 4), st.integers(0, 99)),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=20, max_size=N), splitters, st.one_of(st.just("shared"), splitters), st.integers(0, 99)
)
def test_what_is_accepted_is_honest(y, outer, inner, seed):
    y = np.array(y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        warnings.filterwarnings("ignore", "The number of unique classes")
        try:
            folds = nested(dataset(y), outer, inner, seed=seed)
        except FoldsError:
            assume(False)
    check_honesty(folds)
    classes = set(y)
    assert all(set(y[fold.train.numbers()]) == classes for fold in (*folds.outer, *itertools.chain(*folds.inner)))
    n_repeats = 2 if isinstance(outer, RepeatedKFold) else 1
    assert np.bincount(np.concatenate([fold.held_out.numbers() for fold in folds.outer]), minlength=len(y)).tolist() == [
        n_repeats
    ] * len(y)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=20, max_size=N),
    st.integers(3, 5),
    st.one_of(st.just("shared"), st.integers(2, 4)),
    st.booleans(),
)
def test_groups_never_straddle(groups, outer, inner, classifier):
    groups = np.array(groups)
    data = Dataset(X[: len(groups)], LABELS[: len(groups)], groups)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")
        try:
            folds = nested(data, outer, inner, classifier=classifier)
        except FoldsError:
            assume(False)
    check_honesty(folds, groups)
