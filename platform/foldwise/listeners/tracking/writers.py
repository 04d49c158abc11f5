"""Writers: a few threads that write runs side by side, where the store has room for several."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Task = Callable[[], object]


class Writers:
    """Threads that do tasks in any order; with one writer, each is done where it is given.

    They never hold up the end of the process, and what they are given never raises.

    Parameters
    ----------
    n : int
        How many.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._tasks: queue.Queue[Task | None] = queue.Queue(2 * n)
        self._threads: list[threading.Thread] = []

    def do(self, task: Task) -> None:
        """Do a task now, or soon; waits while many are under way."""
        if self._n == 1:
            task()
            return
        if not self._threads:
            names = [f"foldwise-mlflow-{number}" for number in range(self._n)]
            self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
            for thread in self._threads:
                thread.start()
        self._tasks.put(task)

    def wait(self) -> None:
        """Wait until all that was given is done."""
        self._tasks.join()

    def close(self) -> None:
        """End the threads when they have done what they were given."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                if task is None:
                    return
                task()
            finally:
                self._tasks.task_done()
