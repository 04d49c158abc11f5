"""No vocabulary, normaliser or early-stopping split knows of a row that is held out: planted rows would tell."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import PredefinedSplit

import foldwise as fw
from foldwise.models import ConvNetClassifier, MLPNetRegressor, WideDeepClassifier

SMALL = {"random_state": 0, "epochs": 2, "early_stopping": True}
TRAIN, HELD = np.arange(0, 300), np.arange(300, 400)


def test_a_study_comes_to_the_same_whatever_stands_in_its_outer_fold(census):
    frame, y = census
    planted = frame.copy()
    planted.loc[HELD, "work"] = "planted"
    planted.loc[HELD, "age"] = 1e9
    found = []
    for X in (frame, planted):
        search = fw.NestedSearchCV(
            WideDeepClassifier(crosses=[["work", "school"]], **SMALL), {"units": [4, 8]}, search="grid",
            outer_cv=PredefinedSplit(np.where(np.isin(np.arange(len(y)), HELD), 0, -1)), inner_cv=2, executor="serial",
            scoring="neg_log_loss", refit=False, random_state=0,
        )  # fmt: skip
        trials = search.fit(X, y).trials_
        found.append(trials[trials.study == "outer-0"][["inner_neg_log_loss", "split0_neg_log_loss"]].to_numpy().tolist())
        outer = search.outer_scores_["neg_log_loss"]
        found.append(outer.tolist())
    assert len(found[0]) == 2
    assert found[0] == found[2]
    assert found[1] != found[3]  # the planted rows were scored, and only that


def test_vocabularies_and_scales_come_from_the_rows_that_train(census):
    frame, y = census
    model = WideDeepClassifier(random_state=0, epochs=1, early_stopping=True, validation_fraction=0.5)
    draw = np.random.default_rng(0)
    frame = frame.assign(name=[f"row {number}" for number in draw.permutation(len(frame))])
    model.fit(frame, y)
    names = next(one.known for one in model._encoder.vocabularies if one.name == "name")
    assert len(names) == len(frame) // 2  # those of the rows held back for early stopping are not among them
    train = frame[frame.name.isin(names)]
    (age,) = model._encoder.numbers
    assert (age.mean, age.scale) == pytest.approx((train.age.mean(), train.age.std(ddof=0)))


def test_scales_of_arrays_and_targets_come_from_the_rows_that_train():
    draw = np.random.default_rng(0)
    X, y = draw.normal(size=(100, 3)), np.zeros(100)
    X[:, 0] = y[:] = np.arange(100)
    model = MLPNetRegressor(random_state=0, epochs=1, early_stopping=True, validation_fraction=0.5).fit(X, y)
    train, held = model._split(y, np.ones(len(y)))
    assert model._encoder.mean[0] == pytest.approx(train.mean())
    assert model._target.mean[0] == pytest.approx(train.mean())
    assert not set(train) & set(held)
    image = ConvNetClassifier(random_state=0, epochs=1, filters=2).fit(X[:, :1] * [1, 1, 1, 1], np.arange(100) % 2)
    assert image._encoder.mean == pytest.approx(X[:, 0].mean())  # one scale for all pixels of a channel


def test_rows_held_back_are_held_back_in_each_epoch(census):
    frame, y = census
    model = WideDeepClassifier(**SMALL)
    splits = []
    for _ in range(2):
        model.partial_fit(frame, y)
        splits.append(model._split(y, np.ones(len(y)))[1].tolist())
    assert splits[0] == splits[1]
    pd.testing.assert_frame_equal(frame, census[0])
