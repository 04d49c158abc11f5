"""A fit is kept to its time where it runs."""

import contextlib
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest

from foldwise.worker.guard import FitGuard, TimeLimitExceeded


def spin(seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pass


def test_what_takes_too_long_is_ended_and_what_does_not_is_left_alone():
    with FitGuard(60):
        spin(0.01)
    with pytest.raises(TimeLimitExceeded, match=r"longer than 0.1 s \(limits.fit_seconds\)"), FitGuard(0.1):
        spin(5)
    spin(0.2)  # no alarm is left


def test_without_a_limit_nothing_is_touched():
    before = signal.getsignal(signal.SIGALRM)
    with FitGuard():
        assert signal.getsignal(signal.SIGALRM) is before
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_code_that_catches_exceptions_is_ended_all_the_same(monkeypatch):
    monkeypatch.setattr("foldwise.worker.guard._AGAIN", 0.1)

    def stubborn():
        for _ in range(1000):
            with contextlib.suppress(Exception):
                spin(5)

    with pytest.raises(TimeLimitExceeded), FitGuard(0.1):
        stubborn()


def test_an_alarm_that_was_set_before_still_comes():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with FitGuard(10):
            spin(0.05)
        assert not rung
        spin(0.4)
        assert rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def slow_module(tmp_path, monkeypatch):
    """A module that takes a second to import, and one whose import fails after a second."""
    monkeypatch.syspath_prepend(tmp_path)
    body = "import time\nend = time.monotonic() + 1.0\nwhile time.monotonic() < end:\n    time.sleep(0.01)\n"
    (tmp_path / "takes_its_time.py").write_text(body)
    (tmp_path / "takes_it_in_vain.py").write_text(body + "raise ImportError('in vain')\n")
    yield
    for name in ("takes_its_time", "takes_it_in_vain"):
        sys.modules.pop(name, None)


def test_importing_is_no_part_of_the_time(slow_module):
    with FitGuard(0.5):
        import takes_its_time  # noqa: F401

        with pytest.raises(ImportError, match="in vain"):
            import takes_it_in_vain  # noqa: F401
        spin(0.1)


def test_what_takes_too_long_after_an_import_is_ended_by_what_is_left(slow_module):
    started = time.monotonic()

    def fit():
        spin(0.3)
        import takes_its_time  # noqa: F401

        spin(20)

    with pytest.raises(TimeLimitExceeded), FitGuard(0.8):
        fit()
    assert 1.7 < time.monotonic() - started < 10


def test_an_import_in_another_thread_does_not_stop_the_clock(slow_module):
    started = time.monotonic()
    other = threading.Thread(target=__import__, args=("takes_its_time",))

    def fit():
        other.start()
        spin(20)

    with pytest.raises(TimeLimitExceeded), FitGuard(0.3):
        fit()
    other.join()
    assert time.monotonic() - started < 10


def test_nothing_is_left_of_a_guard():
    before = list(sys.meta_path)
    with FitGuard(5.0):
        assert len(sys.meta_path) == len(before) + 1
    assert sys.meta_path == before
    assert pickle.loads(pickle.dumps(FitGuard(5.0))) == FitGuard(5.0)


def test_a_search_that_runs_while_a_module_is_imported_is_kept_to_its_time(tmp_path):
    (tmp_path / "searches.py").write_text(
        "import time\nfrom foldwise.worker.guard import FitGuard, TimeLimitExceeded\n"
        "try:\n    with FitGuard(0.2):\n        while True:\n            time.sleep(0.01)\nexcept TimeLimitExceeded:\n    print('ended')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import searches"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["ended"]


def test_a_worker_is_not_ended_in_an_import_and_is_ended_after_it(tmp_path):
    (tmp_path / "slow.py").write_text("sum(range(10**8))\n")  # in C, where no signal reaches it
    script = (
        "import time\nfrom foldwise.worker.guard import FitGuard\n"
        "with FitGuard(0.5, may_exit=True):\n    import slow\n    print('imported', flush=True)\n    time.sleep(0.3)\n"
        "    sum(range(10**12))\n"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout.split() == ["imported"]
    assert done.returncode == 1
    assert time.monotonic() - started < 40
