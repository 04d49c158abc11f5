"""The Ray workers that a process has started, and a listener that kills one of them now and then."""

import contextlib
import os
import random
import signal
import time

import psutil

from foldwise.events import FitEnded


def workers(of=None):
    """List the processes that run or wait for tasks, below a process: this one, if none is given."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline()[:1])
            if title.startswith("ray::") and "Agent" not in title:  # a node's agents take the node with them
                found.append(process)
    return found


class Killer:
    """A listener that kills -9 a random worker of this process every so many seconds, as long as fits end in between.

    Parameters
    ----------
    every : float
        Seconds from one kill to the next, at least.
    most : int, optional
        Kills in all. A fit that is lost three times has failed; two kills cannot make one fail.
    """

    def __init__(self, every, most=None, seed=0):
        self.killed = []
        self._every, self._most, self._choice = every, most, random.Random(seed)
        self._last = time.time()

    def __call__(self, event):
        if not isinstance(event, FitEnded) or time.time() - self._last < self._every or len(self.killed) == self._most:
            return
        # A worker that came after the last kill may still be starting: to kill it each time would let no fit ever end.
        found = [worker for worker in workers() if worker.create_time() < self._last]
        if found:
            victim = self._choice.choice(found)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
                self.killed.append(victim.pid)
        self._last = time.time()
