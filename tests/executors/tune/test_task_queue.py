"""Tasks go one way through the queue and outcomes the other."""

import threading
import time
from dataclasses import replace

import pytest
from tune_tasks import fit_task, trial_task

from foldwise.errors import ClusterError, Failure
from foldwise.executors.tune.task_queue import QueueClosed, TaskQueue
from foldwise.trial import FitResult, Segment, TrialEnd, TrialState


def test_fits_are_taken_before_trials_and_each_once():
    queue, trials, fit = TaskQueue(), [trial_task(0), trial_task(1)], fit_task()
    queue.submit(trials)
    queue.submit([fit])
    assert [queue.next_task() for _ in range(4)] == [fit, *trials, None]


def test_who_waits_for_something_to_do_is_woken_by_it():
    queue, taken = TaskQueue(), []
    taker = threading.Thread(target=lambda: taken.append(queue.next_task()))
    taker.start()
    time.sleep(0.05)
    assert not taken
    queue.submit([task := trial_task(0)])
    taker.join(5)
    assert taken == [task]


def test_who_waits_for_something_to_do_is_woken_when_the_desk_closes():
    queue, ended = TaskQueue(), []

    def take():
        try:
            queue.next_task()
        except QueueClosed:
            ended.append(True)

    taker = threading.Thread(target=take)
    taker.start()
    queue.close()
    taker.join(5)
    assert ended == [True]


def test_results_come_back_once_and_what_was_withdrawn_does_not():
    queue, kept, dropped = TaskQueue(), fit_task(1.0), fit_task(2.0)
    queue.submit([kept, dropped])
    queue.next_task(), queue.next_task()
    queue.cancel([dropped.fit.key])
    for task in (kept, dropped):
        queue.complete(task.fit.key, FitResult(task.fit.key, {}, 0.0))
    assert [result.key for result in queue.take_results(1.0)] == [kept.fit.key]
    assert queue.take_results(1.0) == []
    assert queue.is_idle


def test_a_wait_ends_with_its_time_and_with_a_failure():
    queue = TaskQueue()
    queue.submit([trial_task(0)])
    assert queue.take_ends(0.01) == []
    queue.fail("expected this, got that")
    with pytest.raises(ClusterError, match="expected this, got that"):
        queue.take_ends(60)


def test_the_end_of_a_trial_says_how_far_it_came():
    task = trial_task(0)
    failed = task.fail(Failure("WorkerLost", "thrice"), None).ended
    end = task.end(failed, retries=2)
    assert (end.state, end.lineage) == (TrialState.FAILED, (Segment(task.trial.params, 0),))
    assert {(result.error.kind, result.retries) for result in end.results} == {("WorkerLost", 2)}
    on_the_way = replace(failed, value=0.5, lineage=(Segment({}, 3),))
    assert task.end(on_the_way, 0).state is TrialState.PRUNED
    assert task.end(replace(on_the_way, lineage=(Segment({}, 9),)), 0).state is TrialState.COMPLETE
    assert isinstance(end, TrialEnd)
