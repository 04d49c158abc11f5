"""Generated searches give scikit-learn's numbers on Ray, to the last bit."""

from generated import CHECKS, cases, check
from hypothesis import given, settings


@settings(max_examples=100, **CHECKS)
@given(cases())
def test_on_ray(case):
    check(case, "ray")
