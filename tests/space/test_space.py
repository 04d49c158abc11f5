"""Spaces: names and dimensions, conditions, unions, files; and errors that name the param, the value and the fix."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import ParameterGrid
from sklearn.svm import SVC

from foldwise.errors import InputError, InputTypeError, SpaceError
from foldwise.inputs.yaml_file import parse_yaml
from foldwise.space.dimension import Categorical, Distribution, Float, Int
from foldwise.space.space import SearchSpace, find_space, load_space, shipped_spaces, space_from_yaml

NESTED = {
    "kernel": ["rbf", "poly", "linear"],
    "degree": Int(2, 3, when={"kernel": "poly"}),
    "coef0": Categorical([0, 1], when={"degree": 3}),
    "gamma": Categorical([0.1, 1], when={"kernel": ["rbf", "poly"]}),
    "C": [1, 10],
}


def points_of(space):
    return list(ParameterGrid(SearchSpace(space).grid()))


# --- what a space is --------------------------------------------------------------------------------------------------


def test_a_space_of_lists_is_the_grid_that_scikit_learn_takes():
    space = {"C": [1, 10], "kernel": ["rbf", "linear"]}
    assert SearchSpace(space).grid() == [space]


def test_a_list_of_spaces_is_their_union():
    union = [{"kernel": ["linear"], "C": [1]}, {"kernel": ["rbf"], "gamma": [1, 2]}]
    space = SearchSpace(union)
    assert space.grid() == union
    assert space.names == ["C", "gamma", "kernel"]
    assert len(space) == 3
    assert SearchSpace(space).subspaces == space.subspaces


def test_an_empty_mapping_is_the_space_of_one_point_as_in_scikit_learn():
    assert points_of({}) == list(ParameterGrid({})) == [{}]


@pytest.mark.parametrize(
    ("space", "finite", "conditional"),
    [
        ({"C": [1]}, True, False),
        ({"C": Float(0, 1)}, False, False),
        ({"C": Int(1, 3)}, False, False),
        (NESTED, False, True),
        ([{"C": [1]}, {"k": ["a"], "C": Categorical([1], when={"k": "a"})}], True, True),
    ],
)
def test_a_space_knows_whether_it_is_finite_and_conditional(space, finite, conditional):
    assert SearchSpace(space).is_finite is finite
    assert SearchSpace(space).is_conditional is conditional


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (3, "^expected a mapping of names to values, or a list of them, got 3"),
        (None, "^expected a mapping of names to values, or a list of them, got None"),
        ([], "^expected a mapping of names, or a list of them, got an empty list"),
        ([{"C": [1]}, 3], "^expected a mapping of names to values, or a list of them, got 3"),
        ({"C": 1}, r"^C: expected a list of values, .* got 1; write \[1\] for one value"),
        ({"C": "rbf"}, r"^C: expected a list of values, .* got 'rbf'; write \['rbf'\]"),
        ({"C": []}, "^C: expected at least one value, got an empty list"),
        ({"C": np.eye(2)}, r"^C: expected a list of values, got an array of shape \(2, 2\)"),
        ({"C": SVC()}, "^C: expected a list of values, .* got SVC"),
        ({3: [1]}, "^3: expected the name of a param, got 3"),
        ({"": [1]}, "^expected the name of a param, got ''"),
        ("no_such_space", "^expected a space's path or name, got 'no_such_space'; "),
        ("no/such.yaml", "^expected a space's path or name, got 'no/such.yaml'; "),
    ],
)
def test_what_is_no_space_is_refused_with_its_name_and_value(space, message):
    with pytest.raises(SpaceError, match=message):
        SearchSpace(space)


def test_a_dimension_without_points_is_named():
    with pytest.raises(SpaceError, match=r"^gamma: expected points for a grid, got Float\(.*np.geomspace"):
        SearchSpace({"C": [1], "gamma": Float(1e-5, 1, log=True)}).grid()


def test_a_distribution_without_bounds_is_named():
    SearchSpace({"C": scipy.stats.loguniform(1e-2, 1), "x": [1], "y": Int(1, 2)}).check_bounded()
    with pytest.raises(SpaceError, match=r"^gamma: expected a distribution with bounds, got expon"):
        SearchSpace({"C": [1], "gamma": scipy.stats.expon()}).check_bounded()


# --- conditions -------------------------------------------------------------------------------------------------------


def test_a_param_exists_only_where_its_condition_holds():
    points = points_of(NESTED)
    assert {tuple(sorted(set(point) - {"C"})) for point in points if point["kernel"] == "linear"} == {("kernel",)}
    assert {tuple(sorted(set(point) - {"C"})) for point in points if point["kernel"] == "rbf"} == {("gamma", "kernel")}
    poly = [point for point in points if point["kernel"] == "poly"]
    assert {("coef0" in point, point["degree"]) for point in poly} == {(True, 3), (False, 2)}
    assert len(points) == 2 * (1 + 2 + 2 * (1 + 2))


def test_a_condition_takes_values_as_numpy_gives_them():
    space = {"k": np.array(["a", "b"]), "b": np.array([True, False]), "n": np.array([1, 2])}
    children = {"x": Categorical([1], {"k": "a"}), "y": Categorical([1], {"b": True}), "z": Categorical([1], {"n": 2})}
    points = points_of(space | children)
    assert all(("x" in p, "y" in p, "z" in p) == (p["k"] == "a", bool(p["b"]), p["n"] == 2) for p in points)
    assert len(points) == 8


def test_a_tuple_in_a_condition_is_a_value_and_an_estimator_is_itself():
    svc = SVC()
    space = {"h": [(50,), (50, 50)], "e": [svc, None], "x": Categorical([1], {"h": (50,)}), "y": Categorical([1], {"e": svc})}
    assert all(("x" in p, "y" in p) == (p["h"] == (50,), p["e"] is svc) for p in points_of(space))


def test_true_is_not_one_in_a_condition():
    assert [set(p) for p in points_of({"a": [True, 1], "x": Categorical([0], {"a": True})})] == [{"a", "x"}, {"a"}]
    assert [set(p) for p in points_of({"a": [1.0, 2], "x": Categorical([0], {"a": 1})})] == [{"a", "x"}, {"a"}]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"a": Categorical([1], {"b": 1}), "b": Categorical([1], {"a": 1})},
            "^a: expected conditions without a circle, .* a, b",
        ),
        ({"a": Categorical([1], {"a": 1})}, "^a: expected conditions without a circle"),
        (
            {"a": [1], "x": Categorical([1], {"kernal": 1})},
            "^x: expected when to name another param of the space, got 'kernal'",
        ),
        ({"kernel": ["rbf"], "x": Categorical([1], {"kernal": 1})}, "did you mean kernel?"),
        (
            {"k": ["rbf"], "x": Float(0, 1, when={"k": "rbff"})},
            "^x: .*a value that 'k' can have, got 'rbff'; did you mean rbf?",
        ),
        (
            {"k": ["rbf"], "x": Float(0, 1, when={"k": ["rbf", "poly"]})},
            "^x: .*a value that 'k' can have, got 'poly'; Known: rbf",
        ),
        ({"k": Int(1, 9, step=2), "x": Float(0, 1, when={"k": 2})}, r"^x: .*that 'k' can have, got 2; Int\(low=1, high=9"),
        ({"k": Int(1, 9), "x": Float(0, 1, when={"k": "a"})}, "^x: .*a value that 'k' can have, got 'a'"),
        (
            {"k": Float(1, 9), "x": Float(0, 1, when={"k": 2})},
            "^x: expected when to name a Categorical or an Int, got 'k', which is Float",
        ),
        (
            {"k": scipy.stats.randint(1, 3), "x": Float(0, 1, when={"k": 2})},
            "^x: expected when to name a Categorical or an Int",
        ),
        ({"k": [1], "x": Float(0, 1, when=["k", 1])}, r"^x: expected when to be a mapping of names to values, got \['k', 1\]"),
    ],
)
def test_a_wrong_condition_is_refused_with_its_param_and_the_fix(space, message):
    with pytest.raises(SpaceError, match=message):
        SearchSpace(space)


def test_a_condition_on_a_wide_int_costs_nothing():
    space = SearchSpace({"n": Int(1, 10**12), "x": Float(0, 1, when={"n": [1, 10**12]})})
    assert space.is_conditional


@st.composite
def conditional_spaces(draw):
    """Make spaces of small lists, where a param may depend on some values of params before it."""
    space = {}
    for name in draw(st.permutations("abcde"))[: draw(st.integers(1, 5))]:
        when = {}
        for parent in draw(st.lists(st.sampled_from(sorted(space)), max_size=2, unique=True)) if space else ():
            when[parent] = draw(st.lists(st.sampled_from(space[parent].choices), min_size=1, max_size=2, unique=True))
        space[name] = Categorical(list(range(draw(st.integers(1, 3)))), when or None)
    return space


def brute_force(space):
    """Enumerate all values of all params, drop those that do not exist, and keep what differs."""
    found = set()
    for values in itertools.product(*(dimension.choices for dimension in space.values())):
        point = dict(zip(space, values, strict=True))
        while True:
            kept = {
                name: value for name, value in point.items()
                if all(parent in point and point[parent] in wanted for parent, wanted in (space[name].when or {}).items())
            }  # fmt: skip
            if kept == point:
                break
            point = kept
        found.add(tuple(sorted(point.items())))
    return found


@settings(max_examples=150, deadline=None)
@given(conditional_spaces())
def test_the_grid_of_a_conditional_space_is_each_point_that_exists_once(space):
    points = [tuple(sorted(point.items())) for point in points_of(space)]
    assert len(points) == len(set(points))
    assert set(points) == brute_force(space)


@settings(max_examples=100, deadline=None)
@given(conditional_spaces(), st.randoms())
def test_pruned_and_chosen_params_are_points_that_exist(space, random):
    whole = SearchSpace(space)
    drawn = {name: random.choice(dimension.choices) for name, dimension in space.items()}
    assert tuple(sorted(whole.prune(drawn, 0).items())) in brute_force(space)
    chosen = whole.choose(0, lambda name, dimension: random.choice(dimension.choices))
    assert tuple(sorted(chosen.items())) in brute_force(space)


# --- YAML -------------------------------------------------------------------------------------------------------------


def from_yaml(text, build=None):
    return space_from_yaml(parse_yaml(text, "here"), build)


def test_every_form_is_read():
    space = from_yaml(
        """
        C: {float: [0.01, 1e3], log: true}
        tol: [1e-5, 1e-3]
        n: {int: [5, 40], step: 5}
        kernel: [rbf, linear, no]
        shrinking: {values: [true, false]}
        gamma: {float: [1e-5, 0.1], log: true, when: {kernel: rbf}}
        degree: {values: [null, 2], when: {kernel: [rbf, linear]}}
        """
    )
    assert space.subspaces[0] == {
        "C": Float(0.01, 1000.0, log=True),
        "tol": Categorical([1e-5, 1e-3]),
        "n": Int(5, 40, step=5),
        "kernel": Categorical(["rbf", "linear", "no"]),
        "shrinking": Categorical([True, False]),
        "gamma": Float(1e-5, 0.1, log=True, when={"kernel": "rbf"}),
        "degree": Categorical([None, 2], when={"kernel": ["rbf", "linear"]}),
    }


def test_a_list_of_mappings_is_a_union():
    assert len(from_yaml("[{C: [1]}, {C: [2], gamma: [3]}]").subspaces) == 2


def test_values_that_are_mappings_are_built():
    space = from_yaml("scale: [{use: a:B}, passthrough]", build=lambda value, place: (value["use"], place))
    assert space.subspaces[0]["scale"].choices == (("a:B", "scale"), "passthrough")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C: 3", r"^C: expected a list, {float: \[low, high\]} or {int: \[low, high\]}, got 3; write \[3\] for one value"),
        ("C: {float: 3}", r"^C: expected float: \[low, high\], got 3"),
        ("C: {float: [1, 2, 3]}", r"^C: expected float: \[low, high\], got \[1, 2, 3\]"),
        ("C: {float: [1, a]}", "^C: expected high to be a number, got 'a'"),
        ("C: {int: [1, 2.5]}", "^C: expected high to be an integer, got 2.5"),
        ("C: {float: [3, 1]}", "^C: expected low < high, got low=3, high=1"),
        ("C: {float: [1, 3], log: yes}", "^C: expected log to be true or false, got 'yes'"),
        ("C: {float: [1, 3], lgo: true}", "^C: expected another key, got 'lgo'; did you mean log?"),
        ("C: {values: [1], log: true}", "^C: expected another key, got 'log'; Known: when"),
        ("C: {low: 1, high: 3}", "^C: expected one of float, int and values, got low, high"),
        ("C: {float: [1, 2], int: [1, 2]}", "^C: expected one of float, int and values, got float, int"),
        ("C: {}", "^C: expected one of float, int and values, got nothing"),
        ("C: {values: 3}", r"^C: expected a list of values, got 3; write \[3\]"),
        ("C: []", "^C: expected at least one value"),
        ("C: {values: [1], when: {k: 1}}", "^C: expected when to name another param of the space, got 'k'"),
        ("[]", r"^expected names and their values, got \[\]"),
        ("{}", "^expected names and their values, got {}"),
        ("3", "^expected names and their values, got 3"),
        ("[{C: [1]}, 3]", r"^\[1\]: expected names and their values, got 3"),
    ],
)
def test_a_wrong_form_is_refused_with_its_param_and_the_fix(text, message):
    with pytest.raises(SpaceError, match=message):
        from_yaml(text)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_space_is_found_by_path_and_by_name_beside_the_job(tmp_path):
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.yaml").write_text("C: [1, 2]")
    for name in ["mine", "search_spaces/mine.yaml", tmp_path / "search_spaces" / "mine.yaml"]:
        assert load_space(name, beside=tmp_path).grid() == [{"C": [1, 2]}]
    assert SearchSpace(tmp_path / "search_spaces" / "mine.yaml").grid() == [{"C": [1, 2]}]


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_a_shipped_space_loads_by_name(name, tmp_path):
    assert find_space(name, beside=tmp_path) == shipped_spaces()[name]
    assert SearchSpace(name).names


def test_an_error_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "mine.yaml"

    def refuse(value, place):
        raise InputTypeError("", "expected module:name")

    for text, build, place in [("C: {float: [3, 1]}", None, "C"), ("C: [{use: x}]", refuse, "C"), ("C: [1", None, "line 1")]:
        path.write_text(text)
        with pytest.raises(InputError, match=f"^{path}: {place}: expected ") as caught:
            load_space(path, build=build)
        assert caught.value.source == str(path)


def test_a_space_shows_its_dimensions():
    assert repr(SearchSpace({"C": [1]})) == "SearchSpace([{'C': Categorical(choices=(1,), when=None)}])"
    assert isinstance(SearchSpace({"C": scipy.stats.norm()}).subspaces[0]["C"], Distribution)
