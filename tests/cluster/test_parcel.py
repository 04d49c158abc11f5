"""What is sent of a job runs elsewhere; what would not is refused before anything is sent."""

import zipfile
from pathlib import PureWindowsPath

import pytest
import yaml

import foldwise as fw
from foldwise.cluster import travel
from foldwise.cluster.parcel import JOB_FILE, Parcel
from foldwise.errors import InputError

JOB = {
    "data": {"loader": "sklearn.datasets:load_iris"},
    "estimator": "sklearn.svm:SVC",
    "space": {"C": [1, 10]},
    "search": {"method": "grid"},
    "folds": {"outer": 3},
    "seed": 0,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "jobs"


def job(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**JOB, **changes}))
    return fw.Job.load(path)


def package(folder, content="from sklearn.svm import SVC\n\n\nclass Mine(SVC):\n    pass\n", name="sent_models"):
    (folder / name / "__pycache__").mkdir(parents=True)
    (folder / name / "__init__.py").write_text("")
    (folder / name / "svm.py").write_text(content)
    (folder / name / "__pycache__" / "svm.pyc").write_bytes(b"x")
    (folder / name / ".env").write_text("RAY_AUTH_TOKEN=secret\n")
    return folder / name


def unpacked(parcel, folder):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(parcel.pack(folder)) as archive:
        archive.extractall(folder / "there")
    return folder / "there"


def test_a_package_travels_under_its_name_and_the_contents_of_a_folder_as_they_are(folder, tmp_path):
    package(folder)
    (folder / "plain" / "inner").mkdir(parents=True)
    (folder / "plain" / "one.py").write_text("")
    (folder / "plain" / "inner" / "table.txt").write_text("")
    (folder / "two.py").write_text("")
    parcel = Parcel.of(job(folder, code=["sent_models", "plain", "two.py"]))
    places = [place for place, _ in parcel.files]
    assert places == ["sent_models/__init__.py", "sent_models/svm.py", "inner/table.txt", "one.py", "two.py"]
    assert {path.name for path in unpacked(parcel, tmp_path).iterdir()} == {
        JOB_FILE,
        "sent_models",
        "inner",
        "one.py",
        "two.py",
    }


def test_of_two_things_of_one_name_the_first_travels_as_python_imports_it(folder):
    for place in ("a", "b"):
        (folder / place).mkdir(parents=True)
        (folder / place / "one.py").write_text(place)
    (file,) = Parcel.of(job(folder, code=["b", "a"])).files
    assert file == ("one.py", folder / "b" / "one.py")


def test_a_space_in_a_file_stands_in_what_is_sent(folder, tmp_path):
    (folder / "search_spaces").mkdir(parents=True)
    (folder / "search_spaces" / "mine.yaml").write_text("C: {float: [1e-3, 10], log: true}\nkernel: ['1e5', rbf]\n")
    sent = fw.Job.load(unpacked(Parcel.of(job(folder, space="mine")), tmp_path) / JOB_FILE)
    assert sent.spec.space == {"C": {"float": [0.001, 10], "log": True}, "kernel": ["1e5", "rbf"]}
    assert sent.name == "tiny"


def test_equal_jobs_have_equal_digests_wherever_they_and_their_code_lie(folder, tmp_path):
    package(folder)
    package(folder / "far" / "away")
    one = Parcel.of(job(folder, code="sent_models"))
    other = Parcel.of(job(folder / "far", code="away/sent_models", data=JOB["data"], name="tiny"))
    assert one.digest == other.digest
    assert one.pack(tmp_path).read_bytes() == other.pack(tmp_path).read_bytes()
    with zipfile.ZipFile(one.pack(tmp_path)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}  # not today, which differs tomorrow


@pytest.mark.parametrize("change", [{"seed": 1}, {"space": {"C": [1, 11]}}, {"name": "other"}, {"tracking": False}])
def test_whatever_the_job_says_is_in_its_digest(folder, change):
    assert Parcel.of(job(folder)).digest != Parcel.of(job(folder, **change)).digest


def test_the_content_and_the_name_of_code_are_in_the_digest(folder):
    package(folder)
    before = Parcel.of(job(folder, code="sent_models")).digest
    (folder / "sent_models" / "svm.py").write_text("x = 1\n")
    changed = Parcel.of(job(folder, code="sent_models")).digest
    (folder / "sent_models" / "svm.py").rename(folder / "sent_models" / "svm2.py")
    assert len({before, changed, Parcel.of(job(folder, code="sent_models")).digest}) == 3


def test_a_job_without_a_seed_gets_the_same_one_each_time(folder, tmp_path):
    texts = {Parcel.of(job(folder, seed=None)).text for _ in range(2)}
    assert len(texts) == 1
    assert isinstance(yaml.safe_load(texts.pop())["seed"], int)


def test_links_are_followed_once(folder):
    (folder / "plain" / "there").mkdir(parents=True)
    (folder / "plain" / "there" / "one.py").write_text("")
    (folder / "plain" / "linked").symlink_to(folder / "plain" / "there")
    (folder / "plain" / "there" / "back").symlink_to(folder / "plain")
    (folder / "plain" / "two.py").symlink_to("there/one.py")
    assert [place for place, _ in Parcel.of(job(folder, code="plain")).files] == ["linked/one.py", "two.py"]


def test_a_link_that_leads_out_of_its_folder_is_left_out_and_named(folder):
    (folder / "plain").mkdir(parents=True)
    (folder / "plain" / "one.py").write_text("")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "there.py").write_text("")
    (folder / "plain" / "linked").symlink_to(folder / "elsewhere")
    (folder / "plain" / "file.py").symlink_to("../elsewhere/there.py")
    (folder / "alias").symlink_to(folder / "plain")
    for code in ("plain", "alias"):
        parcel = Parcel.of(job(folder, code=code))
        assert [place for place, _ in parcel.files] == ["one.py"]
        assert {path.name for path, _ in parcel.left_out} == {"linked", "file.py"}
        assert "it leads out of the folder" in parcel.listed()


SECRETS = [
    ".env", ".ENV", "prod.env", "PROD.Env", ".env.local", ".envrc", ".netrc", "_netrc", ".pgpass", ".npmrc", ".pypirc", ".git-credentials",
    ".ssh/config", ".SSH/id_rsa", ".aws/credentials", ".git/config", ".gnupg/x", ".kube/config", "id_rsa", "id_ed25519.pub", "server.pem",
    "server.KEY", "store.p12", "secrets.yaml", "credentials.json", "deep/er/.Env", "terraform.tfstate", ".bash_history",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_there_for_secrets_is_not_sent_unless_it_is_asked_for(folder, name):
    file = folder / "plain" / name
    file.parent.mkdir(parents=True)
    file.write_text("SECRET")
    (folder / "plain" / "one.py").write_text("")
    (folder / "plain" / "settings.cfg").symlink_to(name)
    parcel = Parcel.of(job(folder, code="plain"))
    assert [place for place, _ in parcel.files] == ["one.py"]
    for code in ({"path": "plain", "include": [name]}, [{"path": "plain", "include": ["**/" + file.name]}]):
        assert [place for place, _ in Parcel.of(job(folder, code=code)).files] == sorted(["one.py", name])


def test_names_that_only_sound_like_secrets_are_sent(folder):
    names = [
        "environment.yml",
        "keys.py",
        "token.py",
        "secrets_store.py",
        "credentials.py",
        "passwords.py",
        "monkey",
        "env.py",
        "config.py",
    ]
    (folder / "plain").mkdir(parents=True)
    for name in names:
        (folder / "plain" / name).write_text("")
    assert [place for place, _ in Parcel.of(job(folder, code="plain")).files] == sorted(names)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            {"path": "plain", "include": ["gone.*"]},
            "code.include: expected a pattern that finds files in 'plain', got 'gone.*'",
        ),
        ({"path": "plain", "include": ["../x"]}, "code.include: expected a pattern from the folder 'plain' on, got '../x'"),
        ([{"path": "plain", "include": ["/etc/passwd"]}], "code[0].include: expected a pattern from the folder"),
        ({"path": "plain/one.py", "include": ["x"]}, "code.include: expected none beside a file"),
        ({"path": "plain", "includes": ["x"]}, "code.includes: expected a known key, got 'includes'; did you mean include?"),
        ({"include": ["x"]}, "code.path: expected this key"),
    ],
)
def test_an_include_that_finds_nothing_is_said(folder, code, words):
    (folder / "plain").mkdir(parents=True)
    (folder / "plain" / "one.py").write_text("")
    with pytest.raises(InputError) as caught:
        Parcel.of(job(folder, code=code))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"path": "x.csv", "target": "y"}}, "data.path: expected a path that begins with /, got 'x.csv'; data is not sent"),
        ({"data": {"path": "s3://b/x.csv", "target": "y"}}, "let a loader read it"),
        ({"executor": "serial"}, "executor: expected ray for a job that is submitted, got 'serial'"),
        ({"tracking": {"uri": "sqlite:///mlflow.db"}}, "tracking.uri: expected a server or database that the cluster reaches"),
        ({"tracking": {"uri": "htp://x"}}, "tracking.uri: expected an MLflow tracking URI"),
        ({"ledger": "ledger.db"}, "ledger: expected a database that the cluster reaches, got 'ledger.db'"),
        ({"ledger": "sqlite:///ledger.db"}, "ledger: expected a database that the cluster reaches"),
        ({"estimator": "beside_it:Mine"}, "estimator: expected code that is sent along, got 'beside_it', which stands in"),
        ({"estimator": {"pipeline": [{"use": "in_folder.svm:Mine"}]}}, "give it an __init__.py and add in_folder to code"),
        ({"scoring": {"mine": "in_the_working_folder:score"}}, "add in_the_working_folder.py to code"),
        ({"space": "svm_rfb"}, "space: expected a space's path or name, got 'svm_rfb'; did you mean svm_rbf?"),
        ({"code": "gone"}, "code: expected a folder or a .py file, got 'gone'"),
        ({"code": ["beside_it.py", "table.csv"]}, "code[1]: expected a folder or a .py file, got 'table.csv'"),
        ({"code": ""}, "code: expected a folder or a .py file, got ''"),
    ],
)  # fmt: skip
def test_what_would_not_travel_is_refused(folder, tmp_path, changes, words):
    folder.mkdir()
    (folder / "beside_it.py").write_text("Mine = 1\n")
    (folder / "table.csv").write_text("")
    (folder / "in_folder").mkdir()
    (folder / "in_folder" / "svm.py").write_text("Mine = 1\n")
    (tmp_path / "work" / "in_the_working_folder.py").write_text("score = 1\n")
    with pytest.raises(InputError) as raised:
        Parcel.of(job(folder, **changes))
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{folder / 'tiny.yaml'}: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"path": "/data/x.csv", "target": "y"}},
        {"tracking": {"uri": "http://mlflow:5000"}, "ledger": "postgresql://db/ledger"},
        {"tracking": {"uri": "sqlite:////srv/mlflow.db"}, "ledger": "/srv/ledger.db"},
        {"tracking": {"experiment": "x"}, "ledger": True},
        {"estimator": "beside_it:Mine", "code": "beside_it.py"},
    ],
)
def test_what_the_cluster_can_reach_travels(folder, changes):
    folder.mkdir()
    (folder / "beside_it.py").write_text("")
    assert Parcel.of(job(folder, **changes)).name == "tiny"


def test_too_much_code_is_refused_with_the_largest_files(folder, monkeypatch):
    monkeypatch.setattr("foldwise.cluster.parcel.MOST_BYTES", 2**20)
    folder = package(folder).parent
    (folder / "sent_models" / "weights.bin").write_bytes(bytes(2**21))
    with pytest.raises(
        InputError, match=r"code: expected at most 1 MiB of code, got 2 MiB; the largest: sent_models/weights\.bin"
    ):
        Parcel.of(job(folder, code="sent_models"))


def test_a_path_of_the_cluster_is_none_of_this_machines(monkeypatch):
    monkeypatch.setattr(travel, "Path", PureWindowsPath)
    travel._check_data("/data/table.csv", "job.yaml")
    with pytest.raises(InputError, match=r"data\.path"):
        travel._check_data("C:/table.csv", "job.yaml")
