"""No secret leaves foldwise as text, whatever its form and wherever it came from; what is none stays as it is."""

import io
import json
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import redirect_stdout

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier

import foldwise as fw
from foldwise.errors import Failure, FoldwiseError, InputError
from foldwise.inputs.yaml_file import masked_yaml, parse_yaml
from foldwise.ledger.lineages import LineageWriter
from foldwise.listeners.tracking.entry import cut
from foldwise.safety.masking import MASK, is_secret, masked, masked_tree, printable, shown
from foldwise.space.space import SearchSpace
from foldwise.trial import Segment

WORD = "hUnTeR2"
FORMS = [
    "https://u:{}@h/x", "postgresql://u:a/{}/b@h/db", "see https://u:my {} x@h/y now", "got 'https://u:it's {}@h/x'", "redis://:{}@h:6379/0",
    'got "https://u:it"s {}@h/x"', "mysql+pymysql://u:{}@ss@h/db", "https://{}@h/x", "http:/ann:{}@h/x", "postgresql://u:1234/{}@h/db",
    "https://u:{}", "['http://u:{}@h', 'http://u:{}@h2']", '{{"a":"http://u:{}@h","b":"x"}}', "https://u:{}@[::1]:80/x", "https://a@b.org:{}@h/x",
    "//u:{}@h/x", "ann:{}@db.example/x", "http://h/x?password={}&a=1", "http://h/x?a=1&sig={}&se=2", "http://h/x?key={}", "http://h#access_token={}",
    "http://h/?X-Amz-Signature={}&X-Amz-Credential={}", "http://h/x?X-Amz-Security-Token={}", "https%3A%2F%2Fh%3Fsig%3D{}", "https://h/cb?code={}",
    "Server=h;Pwd={};b=2", "AccountKey={}==;EndpointSuffix=x", "host=h user=u password={} dbname=d", "password='a {} b'", 'password="a {} b" x',
    "pass={}", "sig={}", "token={}", "token = {}", "{{'token': '{}'}}", '{{"token":"{}","x":1}}', r"{{\"token\": \"{}\"}}", "password: {}",
    "login failed, password: {}", "  token: {}", "- token: {}", "args: {{token: {}, x: 1}}", "E(password='{}', C=1)", "password={},x=1",
    "Authorization: Bearer {}", "{{'Authorization': 'Bearer {}'}}", "Authorization: Basic {}==", "Bearer {}", "RAY_AUTH_TOKEN={}",
    "AWS_SECRET_ACCESS_KEY={}", "PGPASSWORD={}", "--password {}", "--token={}", "--api-key '{}'", "rejected token: {}", "password is '{}'",
    "X-Api-Key: {}", "dsn='host=h password={}'", "password=b'{}'", "auth=('u', '{}')", "[('password', '{}'), ('x', 1)]", "<password>{}</password>",
    "secret: |\n  {}\n", "token=['{}']", "SharedAccessSignature sr=x&sig={}&se=1", "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
]  # fmt: skip
NO_SECRETS = [
    r"TfidfVectorizer(token_pattern='(?u)\\b\\w\\w+\\b')", "svc__C=1", "max_tokens=5", "key=value", "key: value", "KeyError: 'x'", "n_tokens=3",
    "bypass=1", "lowpass: 3", "sort_key=abc", "https://host:5000/x?y=1", "http://mlflow:5000/#/experiments/1/runs/abc", "sqlite:///mlflow.db",
    "https://github.com/a/b@v1.2", "see https://a.org:8080/x and mail bob@b.org", "['https://a:80', 'bob@x.org']", "unexpected token: foo",
    '{"a":"https://x.org","b":"bob@x.org"}', "one pass: rows", "C:/Users/bob@x/y", "12:30@noon", "sig=0.5", "n_pass=3", "passes=3", "compass=n",
    "password=None", "token=None", "tokenizer=None, analyzer='word'", "svm:SVC", "image:tag@sha256:abcd", "author: me", "user=ann",
    "check RAY_AUTH_TOKEN", "postgresql://db.example/ledger", "got 'http://127.0.0.1:5000'; x", "Basic statistics", "pass through", "code=404",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_masked_in_every_form(form):
    text = form.replace("{{", "{").replace("}}", "}").replace("{}", WORD)
    said = masked(text)
    assert WORD not in said
    assert masked(said) == said


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_is_no_secret_stays_as_it_is(text):
    assert masked(text) == text


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FORMS),
    st.text("abcXYZ019._-+~", min_size=6, max_size=20).map(lambda text: f"q{text}Q"),
    st.lists(st.sampled_from([*NO_SECRETS, "a", "\n", ", ", "'", "x=1"]), max_size=3),
)
def test_a_secret_is_masked_wherever_it_stands_in_a_text(form, word, around):
    text = form.replace("{{", "{").replace("}}", "}").replace("{}", word)
    whole = "\n".join([*around, text, *around]) if not form.startswith("https://u:{}") else "\n".join([*around, text])
    assert word not in masked(whole)
    assert masked(masked(whole)) == masked(whole)
    assert word not in str(Failure("ValueError", whole, whole))
    assert word not in str(FoldwiseError(whole)) + str(InputError("x", whole)) + cut(whole, 8000) + shown(whole)


@settings(max_examples=150, deadline=None)
@given(st.text(), st.text("=:@/'\" \\&;?pwtoken", max_size=60))
def test_masking_takes_any_text_and_masks_once(text, signs):
    for one in (text, signs, f"password={signs}"):
        assert masked(masked(one)) == masked(one)
        assert all(character.isprintable() or character in "\n\t" for character in printable(one))


@pytest.mark.parametrize(
    "piece", ["a", "'", "\\", ":", "@", "https://", "a:b@", "password=", "token='", ")", "password=)", "https://u: @", "eyJa."]
)
def test_masking_is_quick_for_any_text(piece):
    began = time.perf_counter()
    masked(piece * 5_000)
    assert time.perf_counter() - began < 5  # some milliseconds; a slow pattern would take hours


def test_values_are_masked_by_the_names_of_their_keys():
    params = {
        "clf__token": "abc",
        "vec__token_pattern": "[a-z]+",
        "n_tokens": 3,
        "password": 12345,
        "url": "http://a:b@h",
        "C": (1, None),
    }
    assert masked_tree(params) == {
        "clf__token": MASK, "vec__token_pattern": "[a-z]+", "n_tokens": 3, "password": MASK, "url": "http://h", "C": [1, None]
    }  # fmt: skip
    assert is_secret("X-Amz-Signature")
    assert not is_secret("token_pattern")


@pytest.mark.parametrize(
    "text",
    ["a: {password: hUnTeR2, x: 1}  # kept", "password: |-\n  hUnTeR2\n  more", "password:\n  hUnTeR2", '"pass\\x77ord": hUnTeR2', "token: &a hUnTeR2",
     "x: [\"https://u:it's hUnTeR2@h\"]", "password: {is: hUnTeR2}", "a:\n- token: 'hUnTeR2'", "password: >\n\n  hUnTeR2"],
)  # fmt: skip
def test_a_job_file_is_kept_without_secrets_and_else_says_the_same(text):
    kept = masked_yaml(text)
    assert WORD not in kept
    assert parse_yaml(kept, "") == masked_tree(parse_yaml(text, ""))
    assert "# kept" in kept or "# kept" not in text


def test_a_lineage_with_a_secret_choice_is_read_back_though_it_is_not_written():
    urls = ["https://u:hUnTeR2@h/a", "plain"]
    writer = LineageWriter(SearchSpace({"url": urls, "token": [WORD, "x"], "C": fw.Float(0, 1)}))
    lineage = (Segment({"url": urls[0], "token": WORD, "C": 0.5}, 2), Segment({"url": "plain", "token": "x", "C": 0.25}, 1))
    written = writer.write(lineage)
    assert WORD not in written
    assert writer.read(written) == lineage


class Leaky(DummyClassifier):
    """Says its secrets wherever it can."""

    def __init__(self, strategy="prior", random_state=None, constant=None, url=None, token=None):
        super().__init__(strategy=strategy, random_state=random_state, constant=constant)
        self.url, self.token = url, token

    def fit(self, X, y, sample_weight=None):
        warnings.warn("using https://u:hUnTeR2@h/x \x1b[2J\u202e", UserWarning, stacklevel=1)
        if self.random_state == 2:
            raise ValueError("no answer from postgresql://u:hUnTeR2@h/db \x1b]0;t\x07")
        return super().fit(X, y)


def searched(tmp_path, **changes):
    space = {"url": ["https://u:hUnTeR2@h/\x1b[2J"], "token": [WORD], "random_state": [1, 2]}
    search = fw.NestedSearchCV(
        Leaky(), space, search="grid", outer_cv=2, inner_cv=2, executor="serial", random_state=1, verbose=3,
        ledger=str(tmp_path / "ledger.db"), **changes,
    )  # fmt: skip
    said = io.StringIO()
    with redirect_stdout(said), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*load_iris(return_X_y=True))
    return search, said.getvalue() + "".join(str(one.message) for one in caught)


def bytes_below(folder):
    return b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.endswith((".skops", ".pkl"))
    )


def test_no_outlet_of_a_search_in_python_lets_a_secret_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    search, said = searched(tmp_path)
    report = search.report()
    told = said + str(report) + report.summary()
    assert WORD not in told + report.to_json() + str(report.to_dict()) + " ".join(search.trials_["error"].dropna())
    assert not any(character in told for character in "\x1b\x07\u202e")
    assert search.best_params_["token"] == WORD  # the user's own objects stay what they are
    assert WORD.encode() not in bytes_below(tmp_path)


def test_masking_leaves_keys_alone_so_that_results_are_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, _ = searched(tmp_path)
    again, _ = searched(tmp_path)
    assert first.n_fits_ > 1
    assert again.n_fits_ == 1  # the final model alone, which a ledger does not keep
    assert again.report().warned[0].text == first.report().warned[0].text
    assert [str(one) for one in again.trials_["error"]] == [str(one) for one in first.trials_["error"]]


@pytest.fixture(scope="module")
def leaky_job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaky")
    (folder / "leaky.py").write_text(
        "import warnings\nfrom sklearn.dummy import DummyClassifier\nfrom sklearn.datasets import load_iris\n"
        "def load(password, url):\n    warnings.warn(f'reading {url} \\x1b[2J')\n    return load_iris()\n"
        "class Leaky(DummyClassifier):\n"
        "    def __init__(self, strategy='prior', random_state=None, constant=None, url=None, token=None):\n"
        "        super().__init__(strategy=strategy, random_state=random_state, constant=constant); self.url = url; self.token = token\n"
        "    def fit(self, X, y, sample_weight=None):\n        warnings.warn(f'using {self.url}')\n"
        "        if self.random_state == 2: raise ValueError(f'no answer from {self.url}, token={self.token}')\n"
        "        return super().fit(X, y)\n"
    )
    url = "https://u:hUnTeR2@h/\x1b]0;title\x07"
    job = {
        "name": "leaky", "data": {"loader": "leaky:load", "args": {"password": WORD, "url": url}}, "estimator": {"use": "leaky:Leaky", "token": WORD},
        "space": {"url": [url], "random_state": [1, 2]}, "search": {"method": "grid"}, "folds": {"outer": 2, "inner": 2}, "executor": "serial",
        "verbose": 3, "seed": 1, "refit": True,
    }  # fmt: skip
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return folder


@pytest.mark.parametrize("more", [["run"], ["report", "--json"], ["plan"]])
def test_no_outlet_of_a_command_lets_a_secret_through(leaky_job, more):
    arguments = [more[0], "job.yaml", *more[1:]]
    done = subprocess.run([sys.executable, "-m", "foldwise.cli", *arguments], cwd=leaky_job, capture_output=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert WORD.encode() not in said
    assert b"\x1b" not in said
    assert b"\x07" not in said
    kept = [path for path in leaky_job.rglob("*") if path.is_file() and path.suffix not in {".skops", ".pkl", ".pyc", ".py"}]
    assert [path for path in kept if WORD.encode() in path.read_bytes()] == [leaky_job / "job.yaml"]
    if more == ["run"]:
        names = {path.name for path in kept}
        assert {"mlflow.db", "ledger.db", "job.yaml", "report.json", "report.txt", "trials.parquet", "plan.txt"} <= names
        table = pd.read_parquet(next(leaky_job.rglob("trials.parquet")))
        assert set(table["param_url"]) == {"https://h/\x1b]0;title\x07"}
        with sqlite3.connect(next(leaky_job.rglob("ledger.db"))) as ledger:
            params = [json.loads(one) for (one,) in ledger.execute("select params from foldwise_fits")]
        assert {one["url"] for one in params} == {"https://h/\x1b]0;title\x07"}
        ledger.close()


PIECES = st.sampled_from([
    "token", "password", "sig", "key", "auth", "Bearer", "authorization", "_", "_token", "1", "\u00e9", "\x00", "abc", ":", "=", " ", '"', "'",
    "://", "@", "/", "?", "&", "\n", "\\", "{", "}", "[", "]", "(", ")", ",", ";", "|", "<", "%", "-", "--", "...", "http", "postgresql",
])  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_text_can_be_masked_and_masking_again_changes_nothing(text):
    assert masked(masked(text)) == masked(text)
