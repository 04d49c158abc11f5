"""Step 5, map: where fits run."""

from foldwise.executors.base import Executor, ScheduledExecutor
from foldwise.executors.named import EXECUTORS, find_executor, make_executor, runs_schedules
from foldwise.executors.serial import SerialExecutor

__all__ = ["EXECUTORS", "Executor", "ScheduledExecutor", "SerialExecutor", "find_executor", "make_executor", "runs_schedules"]
