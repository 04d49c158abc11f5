"""Estimators that train in epochs, write each of them down, and get into trouble on purpose."""

import ctypes
import os
import signal
import time
from pathlib import Path

from sklearn.linear_model import SGDClassifier


class ResourceExhaustedError(Exception):
    """As TensorFlow says that a GPU's memory is spent."""


class Troubled(SGDClassifier):
    """Logs ``pid trouble epoch CUDA_VISIBLE_DEVICES FOLDWISE_GPU_FRACTION`` per epoch; in epoch ``at`` its trouble comes.

    "kill" comes once in all, "kills" each time; "late" comes once, in the last of three folds and at its end; "oom" says that a GPU's memory is spent; "hang" never ends, in Python, and
    "freeze" in C, where no signal reaches it; "nan" makes it useless.
    """

    def __init__(self, folder=".", trouble=None, at=2, seconds=0.0, alpha=0.0001, random_state=None):
        super().__init__(alpha=alpha, random_state=random_state)
        self.folder, self.trouble, self.at, self.seconds = folder, trouble, at, seconds

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        epoch = round((getattr(self, "t_", 1) - 1) / len(X))
        told = os.environ.get("CUDA_VISIBLE_DEVICES", "unset"), os.environ.get("FOLDWISE_GPU_FRACTION", "unset")
        with Path(self.folder, "epochs.log").open("a", encoding="utf-8") as log:
            log.write(f"{os.getpid()} {self.trouble} {epoch} {told[0] or 'none'} {told[1]}\n")
        time.sleep(self.seconds)
        if epoch == self.at:
            self._get_into_trouble()
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)

    def _get_into_trouble(self):
        flag = Path(self.folder, "killed")
        if self.trouble == "late":
            if flag.exists() or len(epochs_in(self.folder)) < 3 * (self.at + 1):
                return
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble == "kills" or (self.trouble == "kill" and not flag.exists()):
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.trouble == "oom":
            raise ResourceExhaustedError("failed to allocate memory")
        elif self.trouble == "hang":
            while True:
                time.sleep(0.01)
        elif self.trouble == "freeze":
            mutex, library = ctypes.create_string_buffer(256), ctypes.PyDLL(None)
            for _ in range(2):  # the second time it waits for itself
                library.pthread_mutex_lock(mutex)

    def score(self, X, y, sample_weight=None):
        return float("nan") if self.trouble == "nan" else super().score(X, y, sample_weight)


def epochs_in(folder):
    """Return what was logged: (pid, trouble, epoch, visible GPUs, share of one)."""
    lines = Path(folder, "epochs.log").read_text(encoding="utf-8").splitlines()
    return [(int(pid), trouble, int(epoch), visible, share) for pid, trouble, epoch, visible, share in map(str.split, lines)]
