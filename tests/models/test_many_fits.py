"""Many fits in one process: networks wait for the next, there are never many, and memory stays level."""

import gc
import threading
import weakref

import numpy as np
import psutil
import pytest

from foldwise.models import MLPNetClassifier
from foldwise.models.pool import POOL, Pool

SMALL = {"units": 8, "epochs": 1, "random_state": 0, "optimizer": "sgd"}


class Thing:
    def __init__(self, n_bytes=1):
        self.n_bytes = n_bytes


def lend(pool, key, n_bytes=1):
    with pool.lend(key, lambda: Thing(n_bytes)) as thing:
        return weakref.ref(thing)


def test_a_network_serves_all_that_are_built_alike():
    pool = Pool(most=4)
    first = lend(pool, "a")
    assert lend(pool, "a")() is first()
    assert lend(pool, "b")() is not first()


def test_the_networks_used_longest_ago_go_first():
    pool = Pool(most=4)
    kept = {name: lend(pool, name) for name in "abcd"}
    lend(pool, "a")
    lend(pool, "e")
    assert len(pool) == 3
    assert [name for name, thing in kept.items() if thing() is not None] == ["a", "d"]


def test_large_networks_are_few():
    pool = Pool(most=10, most_bytes=100)
    for number in range(5):
        lend(pool, number, n_bytes=80)
    assert len(pool) <= 2


def test_one_thread_at_a_time_has_a_network():
    pool, inside, most = Pool(), [], []

    def work():
        with pool.lend("a", Thing):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_folds_and_params_of_training_share_a_network(digits):
    X, y = digits
    POOL.clear()
    for rows in (slice(0, 200), slice(100, 300)):
        for learning_rate in (0.1, 0.2):
            MLPNetClassifier(learning_rate=learning_rate, **SMALL).fit(X[rows], y[rows])
    assert len(POOL) == 1


def test_threads_that_fit_at_once_come_to_what_each_would_alone(digits):
    X, y = digits
    alone = [MLPNetClassifier(**{**SMALL, "random_state": seed}).fit(X, y).predict_proba(X) for seed in range(4)]
    found = [None] * 4

    def work(seed):
        model = MLPNetClassifier(**{**SMALL, "random_state": seed}).fit(X, y)
        found[seed] = model.predict_proba(X)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, other) for one, other in zip(alone, found, strict=True))


def fit_all_different(digits, n_fits, first=0):
    """Fit networks that all have graphs of their own, with gradients of their own in them."""
    X, y = digits[0][:64], digits[1][:64]
    for number in range(n_fits):
        dropout = 0.1 + (first + number) / 10000
        MLPNetClassifier(dropout=dropout, layers=1, activation="silu", **SMALL).fit(X, y)


def test_graphs_that_are_gone_are_let_go(digits):
    POOL.clear()
    fit_all_different(digits, 2 * POOL.most)
    assert len(POOL) <= POOL.most
    POOL.clear()
    alive = [one for one in gc.get_objects() if type(one).__name__ in {"FuncGraph", "WhileBodyFuncGraph"}]
    assert len(alive) == 0


@pytest.mark.slow
def test_memory_stays_level_over_many_fits(digits):
    process = psutil.Process()
    fit_all_different(digits, 60, 1000)
    before = process.memory_info().rss
    fit_all_different(digits, 120, 2000)
    assert process.memory_info().rss - before < 50 * 2**20  # if graphs stayed, it would be 300 or more
