"""Where results come from: told if it is known, and never at a cost."""

import shutil
import subprocess
import sys

import pytest

from foldwise.executors import SerialExecutor
from foldwise.loop.run import Run
from foldwise.reduce import provenance
from foldwise.reduce.provenance import Provenance, git_state
from foldwise.report import Report
from foldwise.testing import small_plan

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def checkout(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments], cwd=tmp_path, check=True, capture_output=True
        )

    git("init")
    (tmp_path / "mine.py").write_text("a = 1\n")
    git("add", "mine.py")
    git("commit", "-m", "first")
    (tmp_path / "below").mkdir()
    return tmp_path


@needs_git
def test_a_checkout_gives_its_commit_and_whether_files_differ(checkout):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()
    assert git_state(checkout / "below") == (head, False)
    (checkout / "mine.py").write_text("a = 2\n")
    assert git_state(checkout / "below") == (head, True)


@needs_git
def test_without_a_commit_a_checkout_or_an_answer_nothing_is_told(checkout, tmp_path_factory, monkeypatch):
    bare = tmp_path_factory.mktemp("bare")
    assert git_state(bare) == (None, None)
    subprocess.run(["git", "init"], cwd=bare, check=True, capture_output=True)
    assert git_state(bare) == (None, None)
    assert git_state(None) == (None, None)
    (slow := bare / "git").write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(provenance, "_PATIENCE", 0.2)
    monkeypatch.setattr(provenance.shutil, "which", lambda name: str(slow))
    assert git_state(checkout) == (None, None)
    monkeypatch.setattr(provenance.shutil, "which", lambda name: None)
    assert git_state(checkout) == (None, None)


def test_it_names_versions_and_the_command_without_secrets(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py", "--password", "hUnTeR2", "http://u:hUnTeR2@h"])
    here = Provenance.here(["pandas"])
    assert "python train.py" in here.command
    assert "hUnTeR2" not in here.command
    assert {"python", "foldwise", "pandas"} <= set(here.versions)


def test_it_enters_no_key_and_no_report(monkeypatch):
    def run():
        return Run(small_plan(), SerialExecutor()).execute()

    one = run()
    monkeypatch.setattr(sys, "orig_argv", ["another", "command"])
    other = run()
    assert one.provenance.command != other.provenance.command == "another command"
    assert one.plan.key == other.plan.key
    assert "another command" not in f"{Report(other)}{Report(other).to_json()}"
