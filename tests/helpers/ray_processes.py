"""The Ray workers that a process has started, and a thread that kills one of them now and then."""

import contextlib
import os
import random
import signal
import threading

import psutil


def workers(of=None):
    """List the processes that run or wait for tasks, below a process: this one, if none is given."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline()[:1])
            if title.startswith("ray::") and "Agent" not in title:  # a node's agents take the node with them
                found.append(process)
    return found


@contextlib.contextmanager
def killing(every, seed=0):
    """Kill -9 a random worker of this process every so many seconds; gives the list of those killed."""
    over, killed, choice = threading.Event(), [], random.Random(seed)

    def kill():
        while not over.wait(every):
            found = workers()
            if found:
                victim = choice.choice(found)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim.pid, signal.SIGKILL)
                    killed.append(victim.pid)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
