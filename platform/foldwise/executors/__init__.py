"""Step 5, map: where fits run."""

from foldwise.executors.base import Executor
from foldwise.executors.named import EXECUTORS, make_executor
from foldwise.executors.serial import SerialExecutor

__all__ = ["EXECUTORS", "Executor", "SerialExecutor", "make_executor"]
