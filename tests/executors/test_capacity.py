"""What nodes can give, and how what is missing is said."""

import pytest

from foldwise.errors import ResourcesError
from foldwise.executors.capacity import Capacity
from foldwise.plan.resources import Resources


def node(alive=True, **resources):
    return {"Alive": alive, "Resources": {"CPU": 4.0, "memory": 8e9, **resources}}


HEAD = {"Alive": True, "Resources": {"memory": 8e9, "node:__internal_head__": 1.0}}
NODES = [HEAD, node(), node(GPU=1.0), node(alive=False, CPU=64.0, GPU=8.0)]


def capacity(nodes=NODES, **resources):
    return Capacity.of(Resources.of(resources), nodes)


def test_a_request_larger_than_every_node_is_an_error_that_says_so():
    capacity(cpu=4, gpu=1).check()
    with pytest.raises(
        ResourcesError,
        match=r"resources\.gpu: expected what one node can give, got cpu 1, gpu 2; .*of 3 nodes has: cpu 4, gpu 1",
    ):
        capacity(gpu=2).check()
    with pytest.raises(ResourcesError, match=r"resources\.license"):
        capacity(license=1).check()


@pytest.mark.parametrize(
    ("resources", "n_fits"),
    [({}, 8), ({"cpu": 3}, 2), ({"gpu": 0.25}, 4), ({"memory": int(4e9)}, 4), ({"cpu": 5}, 0), ({"license": 1}, 0)],
)
def test_fits_are_counted_per_node_that_is_there(resources, n_fits):
    assert capacity(**resources).n_fits == n_fits


def test_a_head_without_cores_gets_no_fit_unless_it_has_the_one_thing_that_is_asked_for():
    assert capacity([HEAD]).n_fits == 0
    assert capacity([HEAD], memory=1).n_fits == 0
    licensed = {"Alive": True, "Resources": {"license": 2.0}}
    assert capacity([licensed], license=1).n_fits == 0
    assert capacity([licensed], cpu=0, license=1).n_fits == 2


def test_what_no_node_has_is_named_with_the_most_that_one_has():
    assert capacity().lacks() == ""
    assert capacity(cpu=4, gpu=2).lacks() == "a node with gpu 2 (the most that one has: 1)"
    assert capacity([HEAD]).lacks() == "a node with cpu 1 (the most that one has: 0)"
    apart = [node(), {"Alive": True, "Resources": {"CPU": 1.0, "license": 1.0}}]
    assert capacity(apart, cpu=2, license=1).lacks() == (
        "a node with cpu 2 (the most that one has: 4), license 1 (the most that one has: 1)"
    )


def test_what_others_hold_is_named_with_how_much_of_it():
    assert capacity().taken({"memory": 8e9}) == "cpu: 8 of 8 are taken by other jobs"
    assert capacity(cpu=2, gpu=1).taken({"CPU": 1.0}) == (
        "cpu: 7 of 8 are taken by other jobs, gpu: 1 of 1 are taken by other jobs"
    )
    assert capacity(cpu=4).taken({"CPU": 6.0}) == "a node with cpu 4 free at once: other jobs hold a part of each"


def test_there_is_room_if_nothing_is_short():
    assert capacity().has_free({"CPU": 1.0})
    assert not capacity().has_free({"CPU": 0.5})
    assert not capacity().has_free({})


@pytest.mark.parametrize(
    ("shape", "are_others"),
    [
        ({"CPU": 1.0, "memory": 1e9}, False),
        ({"CPU": 1.0, "memory": 1e9 + 1}, False),
        ({"CPU": 2.0, "memory": 1e9}, True),
        ({"CPU": 1.0}, True),
        ({"CPU": 5.0}, False),
        ({"license": 1.0}, False),
    ],
    ids=["its own", "rounded", "more", "less", "more than a node has", "what no node has"],
)
def test_others_are_those_that_wait_for_other_amounts_which_could_be_given(shape, are_others):
    assert capacity(memory=int(1e9)).others_in([shape]) is are_others
