"""Submitting: what is checked here, and when an attempt is joined or begun."""

from dataclasses import dataclass, field, replace

import pytest
import yaml

import foldwise as fw
from foldwise.cluster import sending
from foldwise.cluster.access import Access
from foldwise.cluster.handle import SubmittedJob
from foldwise.cluster.jobs_api import TakenError
from foldwise.cluster.postscript import Postscript
from foldwise.cluster.submission import Submission, SubmissionState
from foldwise.errors import ClusterError, InputError, ResourcesError
from foldwise.executors import SerialExecutor
from foldwise.loop.run import Run
from foldwise.testing import small_plan

JOB = {
    "name": "tiny", "data": {"loader": "far_away.data:load"}, "estimator": "sklearn.svm:SVC", "space": {"C": [1, 10]},
    "search": {"method": "grid"}, "folds": {"outer": 3}, "seed": 0,
}  # fmt: skip


@dataclass
class FakeJobs:
    """A cluster's jobs, in memory."""

    access: Access = field(default_factory=lambda: Access("http://127.0.0.1:8265", "token"))
    known: dict = field(default_factory=dict)
    logs: dict = field(default_factory=dict)
    cpus: float = 2
    before_start: list = field(default_factory=list)
    stops: bool = True

    @property
    def address(self):
        return self.access.address

    def submissions(self):
        return list(self.known.values())

    def submission(self, name):
        return self.known[name]

    def start(self, name, entrypoint, parcel, job, environment):
        assert parcel.is_file()
        for act in self.before_start[:]:
            self.before_start.remove(act)
            act()
        if name in self.known:
            raise TakenError("already exists")
        self.known[name] = Submission(name, job, SubmissionState.RUNNING, 1.0)

    def stop(self, name):
        self.end(name, "STOPPED")
        return True

    def end(self, name, state):
        self.known[name] = replace(self.known[name], state=SubmissionState(state), ended=2.0)

    def log(self, name):
        return self.logs.get(name, "")

    def follow(self, name):
        yield from self.logs.get(name, "")

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": self.cpus, "memory": 1e9}}]


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    fake = FakeJobs()
    monkeypatch.setattr(sending, "JobsApi", lambda access: fake)
    monkeypatch.setattr(Access, "is_open", lambda self: False)
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    return fake


def test_a_job_is_begun_once_and_joined_while_it_runs_or_after_it_has_succeeded(jobs):
    first = fw.cluster.submit(JOB)
    assert first.is_new
    assert first.id.startswith("tiny-")
    assert first.id.endswith("-1")
    for state in ("PENDING", "RUNNING", "SUCCEEDED"):
        jobs.end(first.id, state)
        joined = fw.cluster.submit(JOB)
        assert (joined.id, joined.is_new) == (first.id, False)
    assert len(jobs.known) == 1


@pytest.mark.parametrize("state", ["FAILED", "STOPPED"])
def test_after_a_stop_or_a_failure_the_next_attempt_begins(jobs, state):
    first = fw.cluster.submit(JOB)
    jobs.end(first.id, state)
    second = fw.cluster.submit(JOB)
    assert second.is_new
    assert second.id == f"{first.id[:-1]}2"


def test_again_begins_another_attempt_after_success_and_never_beside_one_that_runs(jobs):
    first = fw.cluster.submit(JOB)
    assert fw.cluster.submit(JOB, again=True).id == first.id
    jobs.end(first.id, "SUCCEEDED")
    assert fw.cluster.submit(JOB, again=True).id.endswith("-2")


def test_another_job_of_the_same_name_is_another_submission(jobs):
    assert fw.cluster.submit(JOB).id != fw.cluster.submit({**JOB, "seed": 1}).id


def test_two_who_submit_at_the_same_moment_share_the_attempt(jobs):
    jobs.before_start.append(lambda: fw.cluster.submit(JOB))
    handle = fw.cluster.submit(JOB)
    assert len(jobs.known) == 1
    assert not handle.is_new


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": {"D": [1]}}, "job: space.D: expected a param of SVC, got 'D'"),
        ({"estimator": {"use": "sklearn.svm:SVC", "D": 1}}, "job: estimator: expected arguments that sklearn.svm:SVC takes"),
        ({"estimator": "sklearn.svm:SVD"}, "job: estimator: expected a name in sklearn.svm, got 'SVD'"),
        ({"search": {"method": "optuna", "sampler": "tpx"}}, "job: search.sampler"),
        ({"search": {"method": "grid", "trials": 1}}, "2"),
        ({"scoring": "acuracy"}, "job: scoring: expected a metric"),
        ({"folds": {"outer": {"use": "sklearn.model_selection:KFold", "n": 1}}}, "job: folds.outer: expected arguments"),
        ({"folds": {"outer": 3, "inner": {"use": "sklearn.model_selection:KFolds"}}}, "job: folds.inner: expected a name"),
        ({"resources": {"cpu": -1}}, "job: resources.cpu"),
        ({"limits": {"secs": 1}}, "job: limits"),
    ],
)
def test_what_can_be_told_without_the_data_is_told_before_anything_is_sent(jobs, changes, words):
    with pytest.raises(InputError) as raised:
        fw.cluster.submit({**JOB, **changes})
    assert words in str(raised.value)
    assert jobs.known == {}


def test_a_package_that_only_the_cluster_has_is_no_error_here(jobs):
    said = []
    assert fw.cluster.submit({**JOB, "estimator": "only_on_the_cluster.models:Net"}, say=said.append).is_new
    assert said == ["estimator: only_on_the_cluster is not installed here, so the cluster will check what needs it"]
    with pytest.warns(UserWarning, match="only_on_the_cluster is not installed here"):
        fw.cluster.submit({**JOB, "estimator": "only_on_the_cluster.models:Net"})


def test_a_module_that_a_package_here_lacks_is_an_error_here(jobs):
    with pytest.raises(InputError, match=r"estimator: expected a module that can be imported, got 'sklearn\.svn'"):
        fw.cluster.submit({**JOB, "estimator": "sklearn.svn:SVC"})


def test_resources_that_no_node_has_are_refused_unless_the_job_waits_for_them(jobs):
    with pytest.raises(ResourcesError, match=r"job: resources\.cpu: expected what one node can give, got cpu 64"):
        fw.cluster.submit({**JOB, "resources": {"cpu": 64}})
    assert fw.cluster.submit({**JOB, "resources": {"cpu": 64}, "limits": {"wait_seconds": 60}}).is_new


def test_what_others_could_read_is_said_before_it_is_sent(jobs, monkeypatch):
    secret, said = {**JOB, "ledger": "postgresql://ann:secret@db/ledger"}, []
    fw.cluster.submit(secret, say=said.append)
    fw.cluster.submit(secret, "https://ray.example", say=said.append)
    assert said == []
    monkeypatch.setattr(sending, "JobsApi", lambda access: pytest.fail(f"said {said} before"))
    with pytest.raises(pytest.fail.Exception):
        fw.cluster.submit(secret, "http://ray.example:8265", say=said.append)
    assert ["http://ray.example:8265 is not encrypted" in said[0], "holds a password" in said[1]] == [True, True]
    assert "secret" not in "".join(said)


def test_a_cluster_that_is_open_to_all_is_said(jobs, monkeypatch):
    monkeypatch.setattr(Access, "is_open", lambda self: True)
    with pytest.warns(UserWarning, match="asks for no token: whoever reaches it can run code on it"):
        fw.cluster.submit(JOB)


def test_a_job_may_be_a_file_a_job_or_a_mapping(jobs, tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(JOB))
    ids = {fw.cluster.submit(job).id for job in (JOB, tmp_path / "tiny.yaml", "tiny.yaml", fw.Job.load("tiny.yaml"))}
    assert len(ids) == 1


@pytest.fixture(scope="module")
def archive():
    return Run(small_plan(), SerialExecutor()).execute()


@pytest.mark.parametrize(
    ("state", "log", "code"),
    [
        ("SUCCEEDED", str(Postscript(0)), 0),
        ("FAILED", str(Postscript(1)), 1),
        ("FAILED", f"error: seed: expected ...{Postscript(2)}", 2),
        ("STOPPED", str(Postscript(130)), 130),
        ("STOPPED", "Fitting", 130),
    ],
)
def test_the_exit_code_is_the_drivers_own(jobs, state, log, code):
    handle = fw.cluster.submit(JOB)
    jobs.end(handle.id, state)
    jobs.logs[handle.id] = log
    assert handle.exit_code() == code


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("/usr/bin/python: No module named foldwise", "foldwise is not installed there"),
        ("/bin/sh: 1: exec: python: not found", "there is no python on the PATH of Ray there"),
        ("Fitting\nKilled\n", "Killed"),
    ],
)
def test_a_driver_that_was_lost_is_an_error_with_its_last_words(jobs, log, words):
    handle = fw.cluster.submit(JOB)
    jobs.end(handle.id, "FAILED")
    jobs.logs[handle.id] = log
    with pytest.raises(ClusterError, match=words):
        handle.exit_code()
    with pytest.raises(ClusterError, match=words):
        handle.report()


def test_a_report_that_is_not_there_yet_is_said(jobs, archive):
    handle = fw.cluster.submit(JOB)
    with pytest.raises(ClusterError, match="to have ended, got RUNNING"):
        handle.report()
    jobs.end(handle.id, "SUCCEEDED")
    jobs.logs[handle.id] = f"progress{Postscript.of(0, archive)}\n"
    report = handle.report()
    assert (type(report), str(report)) == (fw.Report, str(fw.Report(archive)))
    assert list(handle.logs(follow=True)) == ["progress", "==== report ====", *str(report).split("\n")]


def test_waiting_ends_after_its_timeout_and_leaves_the_job_alone(jobs):
    handle = fw.cluster.submit(JOB)
    with pytest.raises(TimeoutError, match="it goes on"):
        handle.wait(timeout=0)
    assert handle.status().state is SubmissionState.RUNNING


def test_stopping_what_is_over_does_nothing(jobs):
    handle = fw.cluster.submit(JOB)
    assert handle.stop().state is SubmissionState.STOPPED
    jobs.end(handle.id, "SUCCEEDED")
    assert handle.stop().state is SubmissionState.SUCCEEDED


def test_a_name_means_the_latest_attempt(jobs):
    first = fw.cluster.submit(JOB)
    jobs.end(first.id, "FAILED")
    second = fw.cluster.submit(JOB)
    assert fw.cluster.submitted("tiny").id == second.id
    assert fw.cluster.submitted(first.id).id == first.id
    assert isinstance(fw.cluster.submitted("tiny"), SubmittedJob)


def test_waiting_bears_a_cluster_that_is_away_for_a_while(jobs, monkeypatch):
    handle = fw.cluster.submit(JOB)
    over = replace(jobs.known[handle.id], state=SubmissionState.SUCCEEDED)
    answers = iter([ClusterError("away"), jobs.known[handle.id], ClusterError("away"), over])

    def answer(name):
        one = next(answers)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(jobs, "submission", answer)
    monkeypatch.setattr("foldwise.cluster.handle._LOOK_EVERY", 0)
    assert handle.wait().state is SubmissionState.SUCCEEDED


def test_waiting_ends_with_a_cluster_that_stays_away(jobs, monkeypatch):
    handle = fw.cluster.submit(JOB)
    jobs.known.clear()

    def refuse(name):
        raise ClusterError("away")

    monkeypatch.setattr(jobs, "submission", refuse)
    monkeypatch.setattr("foldwise.cluster.handle.PATIENCE", -1)
    with pytest.raises(ClusterError, match="away"):
        handle.wait()
