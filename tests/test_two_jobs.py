"""Two jobs at once share a cluster."""

import pytest
from clusters import helped


@pytest.mark.slow
def test_jobs_whose_fits_hold_the_same_share_evenly():
    said = helped("two_jobs.py", 1, 1, 30)
    first, second = said["got"]
    assert min(first, second) >= 0.4 * (first + second)
    assert first + second >= 0.8 * 2 * said["seconds"], "and cores are not idle"


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_jobs_whose_fits_hold_different_amounts_take_turns(first, second):
    said = helped("two_jobs.py", first, second, 100)
    assert min(said["got"]) >= 0.25 * sum(said["got"])
