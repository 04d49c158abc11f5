"""The map of plain trials: what is wanted of a trial at a time changes nothing of what comes of it, and can be taken back."""

import pytest

from foldwise.executors import SerialExecutor
from foldwise.loop import run as loop
from foldwise.loop.plain_trials import PlainTrials
from foldwise.loop.run import Run
from foldwise.testing import ShuffledExecutor, small_plan


class FewAtATime(PlainTrials):
    """Wants the first fold without a result, and the next one once that has come."""

    most = 0

    def next_folds(self, opened):
        FewAtATime.most = max(FewAtATime.most, len(opened.wanted.intersection(opened.missing)))
        return opened.missing[:1]


class GivesUp(PlainTrials):
    """Gives a trial up after its first result, once."""

    given_up = None

    def take(self, timeout):
        ended = super().take(timeout)
        if GivesUp.given_up is None and self.opened:
            GivesUp.given_up = self.opened[0]
            self.withdraw(self.opened[0])
        return ended

    def next_folds(self, opened):
        self.opened = [*getattr(self, "opened", []), opened]
        return super().next_folds(opened)


@pytest.mark.parametrize("executor", [SerialExecutor, lambda: ShuffledExecutor(3)])
def test_folds_wanted_one_at_a_time_give_the_same_report(monkeypatch, executor):
    plan = small_plan(outer_cv=4)
    whole = Run(plan, executor()).execute()
    monkeypatch.setattr(loop, "PlainTrials", FewAtATime)
    one_by_one = Run(plan, executor()).execute()
    assert FewAtATime.most == 0  # never a second one while the first is out
    assert one_by_one.to_dict()["scores"] == whole.to_dict()["scores"]
    assert one_by_one.n_fits == whole.n_fits
    assert one_by_one.n_fits_shared == whole.n_fits_shared


def test_a_trial_that_is_given_up_wants_nothing_more_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(loop, "PlainTrials", GivesUp)
    plan = small_plan()
    run = Run(plan, SerialExecutor())
    for _ in range(200):
        run.step()
    given_up = GivesUp.given_up
    judged = [live.outer for live in run.studies.values() if live.study.judged is not None]
    assert given_up.study.name == "final"
    assert run.studies["final"].choice is None  # one of its trials never ends
    assert all(outer is not None for outer in judged)
    run.abort()
