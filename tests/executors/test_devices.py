"""What workers are told of a GPU's share, and how a GPU without memory is recognised."""

import pytest

from foldwise.errors import Failure
from foldwise.executors.devices import is_out_of_gpu_memory, share_of
from foldwise.plan.resources import Resources


def test_a_share_is_told_of_a_gpu_that_is_shared():
    assert share_of(Resources(gpu=0.25)) == {"FOLDWISE_GPU_FRACTION": "0.25"}
    assert share_of(Resources(gpu=1)) == share_of(Resources()) == {}


@pytest.mark.parametrize(
    ("failure", "is_spent"),
    [
        (Failure("ResourceExhaustedError", "no words"), True),
        (Failure("InternalError", "failed call to cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY: out of memory"), True),
        (Failure("XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4 bytes"), True),
        (Failure("OutOfMemoryError", "CUDA out of memory. Tried to allocate"), True),
        (Failure("MemoryError", "Unable to allocate"), False),
        (Failure("ValueError", "no ROOM here, none for a BOOM either"), False),
        (None, False),
    ],
)
def test_a_spent_gpu_is_told_by_the_error(failure, is_spent):
    assert is_out_of_gpu_memory(failure) is is_spent
