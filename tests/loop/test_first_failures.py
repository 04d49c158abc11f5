"""A cause that all fits share ends a search early; a param's own does not."""

import pytest

from foldwise.errors import Failure, StudyFailedError
from foldwise.loop.first_failures import FirstFailures
from foldwise.space.space import SearchSpace
from foldwise.trial import Fit, FitResult

SPACE = SearchSpace({"slow": ["a", "b"], "fast": list(range(50)), "same": [1]})


def fit(number, slow="a", train=None):
    params = {"slow": slow, "fast": number % 50, "same": 1}
    return Fit(f"{slow}-{number}", train or f"rows-{number % 3}", ("held",), params, 0)


def bad(one, kind="ValueError", message="no"):
    return FitResult(one.key, {}, 0.0, error=Failure(kind, message))


def good(one):
    return FitResult(one.key, {"held": {"score": 1.0}}, 0.0)


def hear(first, fits, result=bad):
    for one in fits:
        first.begin([one])
        first.hear(one, result(one), "score")


def test_twenty_failures_of_a_kind_whatever_the_params_are_enough():
    first = FirstFailures(SPACE)
    hear(first, [fit(i) for i in range(18)])
    hear(first, [fit(18, "b")])
    with pytest.raises(
        StudyFailedError, match=r"the first 20 fits all failed, on 3 train sets .*20 x ValueError: no"
    ) as caught:
        hear(first, [fit(19)])
    assert isinstance(caught.value, ValueError)


def test_a_choice_that_a_grid_begins_with_may_be_the_cause():
    first = FirstFailures(SPACE)
    hear(first, [fit(i) for i in range(300)])


def test_one_train_set_may_be_the_cause():
    first = FirstFailures(SPACE)
    hear(first, [fit(i, "ab"[i % 2], train="rows") for i in range(300)])


@pytest.mark.parametrize("result", [good, lambda one: bad(one, "TypeError")], ids=["a score", "another cause"])
def test_one_that_differs_ends_the_watch(result):
    first = FirstFailures(SPACE)
    hear(first, [fit(0)])
    hear(first, [fit(1)], result)
    hear(first, [fit(i, "ab"[i % 2]) for i in range(2, 300)])


def test_slow_fits_that_began_before_are_waited_for():
    first = FirstFailures(SPACE)
    slow = fit(999)
    first.begin([slow])
    hear(first, [fit(i, "ab"[i % 2]) for i in range(40)])
    later = fit(500)
    first.begin([later])  # not one of those that are waited for
    with pytest.raises(StudyFailedError, match="the first 41 fits"):
        first.hear(slow, bad(slow), "score")


def test_scores_that_are_all_nan_are_a_cause_and_one_good_fold_is_none():
    nan = Failure("NonFiniteScore", "score is nan")

    def scoreless(one):
        return FitResult(one.key, {"held": {}}, 0.0, score_errors={"held": {"score": nan}})

    with pytest.raises(StudyFailedError, match="NonFiniteScore"):
        hear(FirstFailures(SPACE), [fit(i, "ab"[i % 2]) for i in range(20)], scoreless)

    def half(one):
        return FitResult(one.key, {"held": {}, "other": {"score": 1.0}}, 0.0, score_errors={"held": {"score": nan}})

    twice = [Fit(one.key, one.train, ("held", "other"), one.params, 0) for one in (fit(i, "ab"[i % 2]) for i in range(100))]
    hear(FirstFailures(SPACE), twice, half)


def test_params_that_exist_at_times_must_be_seen_both_ways():
    space = SearchSpace([{"model": ["a"], "x": [1, 2]}, {"model": ["b"]}])
    first = FirstFailures(space)
    fits = [Fit(str(i), f"rows-{i % 2}", ("held",), {"model": "a", "x": 1 + i % 2}, 0) for i in range(40)]
    hear(first, fits)
    with pytest.raises(StudyFailedError):
        hear(first, [Fit("b", "rows-0", ("held",), {"model": "b"}, 0)])
