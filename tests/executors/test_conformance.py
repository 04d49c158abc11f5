"""Every executor passes the one suite."""

import pytest

import foldwise as fw
from foldwise.errors import InputError, ResourcesError
from foldwise.executors import make_executor
from foldwise.resources import Resources
from foldwise.testing import ShuffledExecutor, check_executor

EXECUTORS = {"serial": fw.SerialExecutor, "ray": fw.RayExecutor, "shuffled": lambda: ShuffledExecutor(3)}


@pytest.mark.parametrize("make", EXECUTORS.values(), ids=EXECUTORS.keys())
def test_an_executor_conforms(make):
    check_executor(make)


@pytest.mark.parametrize("wrong", ["rey", 5, None, fw.SerialExecutor])
def test_a_wrong_executor_is_named(wrong):
    with pytest.raises(InputError, match=r"executor: expected .*got"):
        make_executor(wrong)


def test_the_serial_executor_refuses_gpus():
    with pytest.raises(ResourcesError, match="use executor='ray'"):
        fw.SerialExecutor().check(Resources(gpu=1))
