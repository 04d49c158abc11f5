"""Step 5, map: where fits run."""

from foldwise.executors.base import Executor, ScheduledExecutor
from foldwise.executors.named import EXECUTORS, check_can_run, make_executor
from foldwise.executors.serial import SerialExecutor

__all__ = ["EXECUTORS", "Executor", "ScheduledExecutor", "SerialExecutor", "check_can_run", "make_executor"]
