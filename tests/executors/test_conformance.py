"""Every executor passes the one suite."""

import pytest

import foldwise as fw
from foldwise.errors import InputError, ResourcesError
from foldwise.executors import make_executor
from foldwise.plan.resources import Resources
from foldwise.plan.settings import Settings
from foldwise.testing import ShuffledExecutor, check_executor

EXECUTORS = {
    "serial": (fw.SerialExecutor, False),
    "ray": (fw.RayExecutor, True),
    "shuffled": (lambda: ShuffledExecutor(3), False),
}


@pytest.mark.parametrize(("make", "isolates"), EXECUTORS.values(), ids=EXECUTORS.keys())
def test_an_executor_conforms(make, isolates):
    check_executor(make, isolates=isolates)


@pytest.mark.parametrize("wrong", ["rey", 5, None, fw.SerialExecutor])
def test_a_wrong_executor_is_named(wrong):
    with pytest.raises(InputError, match=r"executor: expected .*got"):
        make_executor(wrong, Settings.of({}))


def test_the_serial_executor_refuses_gpus():
    with pytest.raises(ResourcesError, match="use executor='ray'"):
        fw.SerialExecutor().check(Resources(gpu=1))
