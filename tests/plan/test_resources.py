"""What a running fit holds: amounts, sizes, fractions, and names that are right."""

import math

import pytest

from foldwise.errors import InputTypeError, ResourcesError
from foldwise.plan.resources import Resources


def test_by_default_a_fit_holds_one_core():
    assert Resources.of(None) == Resources.of({}) == Resources(cpu=1, gpu=0, memory=None, custom={})
    assert Resources.of(None).amounts() == {"CPU": 1}
    assert Resources.of(None).threads == 1


def test_resources_are_taken_as_they_are():
    resources = Resources(cpu=2)
    assert Resources.of(resources) is resources


def test_amounts_bear_rays_names():
    resources = Resources.of({"cpu": 2, "gpu": 0.25, "memory": "1GiB", "license": 1})
    assert resources.amounts() == {"CPU": 2, "GPU": 0.25, "memory": 2**30, "license": 1}


@pytest.mark.parametrize(("cpu", "threads"), [(1, 1), (4, 4), (0.5, 1), (2.0, 2), (0, 1)])
def test_a_fit_has_as_many_threads_as_cores_and_at_least_one(cpu, threads):
    assert Resources.of({"cpu": cpu, "gpu": 1}).threads == threads


@pytest.mark.parametrize("gpu", [0, 0.25, 1, 2, 2.0])
def test_gpus_are_whole_or_a_share_of_one(gpu):
    assert Resources.of({"gpu": gpu}).gpu == gpu


def test_a_fit_may_hold_no_core_beside_other_resources():
    assert Resources.of({"cpu": 0, "gpu": 1}).amounts() == {"GPU": 1}
    assert Resources.of({"cpu": 0, "license": 1}).amounts() == {"license": 1}


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [
        (1024, 1024),
        (1e9, 10**9),
        ("512", 512),
        ("10 kB", 10_000),
        ("1KiB", 1024),
        ("1.5 MiB", 3 * 2**19),
        ("4GiB", 2**32),
        ("4gib", 2**32),
        (" 2GB ", 2 * 10**9),
        (".5TB", 5 * 10**11),
        ("1TiB", 2**40),
    ],
)
def test_a_size_is_read_in_bytes(size, n_bytes):
    assert Resources.of({"memory": size}).memory == n_bytes


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (2, InputTypeError, "^resources: expected a mapping such as {'cpu': 1, 'gpu': 0}, got 2"),
        ([1], InputTypeError, "^resources: expected a mapping"),
        ({1: 2}, InputTypeError, "^resources: expected names of resources, got 1"),
        ({"cpus": 2}, ResourcesError, "^resources.cpus: expected another name; did you mean cpu?"),
        ({"GPU": 1}, ResourcesError, "^resources.GPU: expected another name; did you mean gpu?"),
        ({"num_gpus": 1}, ResourcesError, "^resources.num_gpus: expected another name; .*gpu"),
        ({"mem": "1GB"}, ResourcesError, "^resources.mem: expected another name; .*memory"),
        ({"Memory": "1GB"}, ResourcesError, "^resources.Memory: expected another name; did you mean memory?"),
        ({"cpu": -1}, ResourcesError, "^resources.cpu: expected a number >= 0, got -1"),
        ({"cpu": "2"}, ResourcesError, "^resources.cpu: expected a number >= 0, got '2'"),
        ({"cpu": True}, ResourcesError, "^resources.cpu: expected a number >= 0, got True"),
        ({"cpu": math.nan}, ResourcesError, "^resources.cpu: expected a number >= 0, got nan"),
        ({"gpu": math.inf}, ResourcesError, "^resources.gpu: expected a number >= 0, got inf"),
        ({"gpu": None}, ResourcesError, "^resources.gpu: expected a number >= 0, got None"),
        ({"cpu": 1.5}, ResourcesError, "^resources.cpu: expected a whole number above 1, got 1.5"),
        ({"gpu": 2.5}, ResourcesError, "^resources.gpu: expected a whole number above 1, got 2.5"),
        ({"license": 1.5}, ResourcesError, "^resources.license: expected a whole number above 1, got 1.5"),
        ({"cpu": 0}, ResourcesError, "^resources.cpu: expected more than 0 without other resources, got 0"),
        ({"cpu": 0, "license": 0}, ResourcesError, "^resources.cpu: expected more than 0 without other resources, got 0"),
        ({"memory": "4 GiBs"}, ResourcesError, "^resources.memory: expected bytes or a size such as '4GiB', got '4 GiBs'"),
        ({"memory": "lots"}, ResourcesError, "^resources.memory: expected bytes or a size such as '4GiB', got 'lots'"),
        ({"memory": ""}, ResourcesError, "^resources.memory: expected bytes or a size such as '4GiB', got ''"),
        ({"memory": 0}, ResourcesError, "^resources.memory: expected bytes or a size such as '4GiB', got 0"),
        ({"memory": -1}, ResourcesError, "^resources.memory: expected bytes or a size"),
        ({"memory": True}, ResourcesError, "^resources.memory: expected bytes or a size"),
        ({"memory": "0GB"}, ResourcesError, "^resources.memory: expected at least one byte, got '0GB'"),
        ({"memory": 0.5}, ResourcesError, "^resources.memory: expected at least one byte, got 0.5"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_is_refused_with_its_name(given, kind, message):
    with pytest.raises(kind, match=message):
        Resources.of(given)
