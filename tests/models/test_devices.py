"""TensorFlow keeps to what a trial has: its threads, its share of a GPU, or several devices."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from foldwise.errors import InputError, MissingPackageError, ResourcesError
from foldwise.models import MLPNetClassifier, devices

ROOT = Path(__file__).parents[2]


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, *code], env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


def test_importing_the_estimators_imports_no_tensorflow():
    script = (
        "import sys, foldwise.models as m\nfrom foldwise.keys import digest\nm.MLPNetClassifier().get_params()\n"
        "digest(m.MLPNetClassifier())\nprint([n for n in ('tensorflow', 'keras') if n in sys.modules])"
    )
    assert run(["-c", script]) == ["[]"]


def test_threads_are_those_that_blas_has(digits):
    MLPNetClassifier(epochs=1).fit(*digits)
    import tensorflow as tf

    assert tf.config.threading.get_intra_op_parallelism_threads() == 1  # as every test has, by conftest.py
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1


def test_several_devices_train_as_one_does():
    where, apart, finite = run([str(ROOT / "tests" / "helpers" / "two_devices.py")])
    assert "CPU:0" in where
    assert "CPU:1" in where
    assert all(float(one) < 1e-4 for one in apart.split())
    assert finite == "True"


class FakeTensorFlow:
    """What is asked of TensorFlow about GPUs, noted."""

    def __init__(self):
        self.limits, self.grown = [], []
        self.config = SimpleNamespace(
            LogicalDeviceConfiguration=lambda memory_limit: memory_limit,
            set_logical_device_configuration=lambda gpu, limits: self.limits.append((gpu, *limits)),
            experimental=SimpleNamespace(set_memory_growth=lambda gpu, grows: self.grown.append(gpu)),
        )


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Stand in for the driver's tool, which says what it was asked of."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho 81559\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "asked"


def test_a_share_of_a_gpu_limits_its_memory(smi, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2c1f")
    monkeypatch.setenv(devices.GPU_FRACTION, "0.25")
    fake = FakeTensorFlow()
    devices._limit_memory(fake, "gpu", 0)
    assert fake.limits == [("gpu", 81559 // 4 - 600)]
    assert smi.read_text().split()[-2:] == ["-i", "GPU-2c1f"]


@pytest.mark.parametrize("share", [None, "1", "2.0"])
def test_whole_gpus_are_taken_as_they_are_needed(share, monkeypatch):
    monkeypatch.delenv(devices.GPU_FRACTION, raising=False)
    if share:
        monkeypatch.setenv(devices.GPU_FRACTION, share)
    fake = FakeTensorFlow()
    devices._limit_memory(fake, "gpu", 0)
    assert (fake.limits, fake.grown) == ([], ["gpu"])


def test_shares_that_cannot_be_are_told(smi, monkeypatch):
    monkeypatch.setenv(devices.GPU_FRACTION, "half")
    with pytest.raises(InputError, match=r"FOLDWISE_GPU_FRACTION: expected a number > 0, got 'half'"):
        devices._limit_memory(FakeTensorFlow(), "gpu", 0)
    monkeypatch.setenv(devices.GPU_FRACTION, "0.001")
    with pytest.raises(ResourcesError, match=r"resources.gpu: expected a share of more than 600 MiB, got 0.001 of 81559 MiB"):
        devices._limit_memory(FakeTensorFlow(), "gpu", 0)
    monkeypatch.setenv(devices.GPU_FRACTION, "0.5")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ResourcesError, match=r"expected nvidia-smi on the path"):
        devices._limit_memory(FakeTensorFlow(), "gpu", 0)


def test_another_backend_is_told(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"KERAS_BACKEND: expected tensorflow, got 'jax'; unset it"):
        devices._import_tensorflow()


def test_a_missing_package_is_told(monkeypatch):
    import importlib.util

    import foldwise.models as package

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"expected the package tensorflow, which is missing; install foldwise\[keras\]"
    ):
        exec(Path(package.__file__).read_text(), {"__name__": "foldwise.models"})
