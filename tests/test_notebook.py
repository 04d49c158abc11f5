"""A notebook cell that is interrupted: what is finished stays on the search, and running the cell again goes on."""

import random
import time

import pytest

jupyter_client = pytest.importorskip("jupyter_client")

SETUP = """
import json, time, warnings
import numpy as np
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
import foldwise as fw

class Slow(DecisionTreeClassifier):
    def fit(self, X, y):
        time.sleep(0.02)
        return super().fit(X, y)

X, y = load_iris(return_X_y=True)

def new(executor):
    space = {"max_depth": [1, 2, 3, 4], "min_samples_leaf": [1, 5, 10]}
    return fw.NestedSearchCV(Slow(), space, search="grid", outer_cv=3, executor=executor)

def told():
    report = search.report()
    return {"partial": report.partial, "n_fits": report.n_fits, "n_found": report.n_fits_found, "nested": search.nested_score_,
            "seed": search.seed_, "n_trials": len(search.trials_), "has_model": hasattr(search, "best_estimator_")}
"""


class Kernel:
    """A kernel of its own; cells are run in it as a notebook runs them."""

    def __enter__(self):
        self._manager = jupyter_client.KernelManager(kernel_name="python3")
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=600)
        return self

    def __exit__(self, *_):
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, code, *, interrupt_after=None):
        """Run a cell; returns its status, or the name of what it raised, and what it printed."""
        asked = self._client.execute(code)
        if interrupt_after is not None:
            time.sleep(interrupt_after)
            self._manager.interrupt_kernel()
        printed = []
        while True:
            message = self._client.get_iopub_msg(timeout=600)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while (reply := self._client.get_shell_msg(timeout=600))["parent_header"].get("msg_id") != asked:
            pass
        return reply["content"].get("ename", reply["content"]["status"]), "".join(printed)

    def value(self, expression):
        """Return what JSON can hold of an expression."""
        import json

        status, printed = self.run(f"print(json.dumps({expression}))")
        assert status == "ok", status
        return json.loads(printed)


def interrupt_and_go_on(kernel, executor, moment):
    """Interrupt a cell at a moment, run it again, and compare; returns whether the interrupt came while it ran."""
    kernel.run(f"search = new({executor!r})")
    status, _ = kernel.run("search.fit(X, y)", interrupt_after=moment)
    if status == "ok" or not kernel.value("hasattr(search, 'outer_scores_')"):  # too late, or before anything was planned
        return False
    assert status in {"KeyboardInterrupt", "Interrupted"}
    first = kernel.value("told()")
    assert first["partial"] != first["has_model"]
    assert kernel.run("search.fit(X, y)")[0] == "ok"
    second = kernel.value("told()")
    assert not second["partial"]
    assert second["n_found"] >= first["n_fits"] - first["has_model"], "what was finished is found again"
    assert second["seed"] == first["seed"]
    kernel.run(f"search = new({executor!r}).set_params(random_state={second['seed']}, executor='serial').fit(X, y)")
    assert kernel.value("told()")["nested"] == second["nested"]
    return True


def test_an_interrupted_cell_keeps_what_is_finished():
    with Kernel() as kernel:
        assert kernel.run(SETUP)[0] == "ok"
        assert kernel.run("new('serial').fit(X, y)")[0] == "ok"  # all is imported now
        came = [interrupt_and_go_on(kernel, "serial", moment) for moment in (0.2, 0.7)]
    assert any(came)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "ray"])
def test_a_cell_that_is_interrupted_at_any_moment_keeps_what_is_finished(executor):
    moments = random.Random(executor)
    with Kernel() as kernel:
        assert kernel.run(SETUP)[0] == "ok"
        began = time.monotonic()
        assert kernel.run(f"new({executor!r}).fit(X, y)")[0] == "ok"
        began = time.monotonic()
        assert kernel.run(f"new({executor!r}).fit(X, y)")[0] == "ok"
        whole = time.monotonic() - began
        came = [interrupt_and_go_on(kernel, executor, moments.uniform(0, 1.1 * whole)) for _ in range(20)]
    assert sum(came) >= 5
