"""The table of bad inputs: each is refused before anything starts, in one line that names the place, the value and the fix."""

import gzip
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sklearn.model_selection
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold, LeaveOneGroupOut, PredefinedSplit, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import foldwise as fw
import foldwise.cli.main
from foldwise.errors import InputError
from foldwise.executors.ray_session import RaySession
from foldwise.safety.masking import masked

LONGEST = 60.0
"""Seconds until any bad input is refused; most of them are imports, in the first case."""

MINIMAL = {"data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.svm:SVC", "space": {"C": [1, 10]}}
REGRESSION = {
    "data": {"loader": "sklearn.datasets:load_diabetes"},
    "estimator": "sklearn.linear_model:Ridge",
    "space": {"alpha": [1]},
}
SCALED = {"scale": "sklearn.preprocessing:StandardScaler", "svc": "sklearn.svm:SVC"}
SCALER = "sklearn.preprocessing:StandardScaler"
NAN, INF, HUGE = float("nan"), float("inf"), 10**400
MODELS = "sklearn.model_selection"
SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def nothing_starts(tmp_path, monkeypatch):
    """Work in an empty folder, where neither Ray nor a tracker may start."""

    def refuse(what):
        def start(*_, **__):
            raise AssertionError(f"{what} was started")

        return start

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RaySession, "ensure", refuse("Ray"))
    monkeypatch.setattr("foldwise.listeners.tracking.MlflowTracker", refuse("tracking"))
    monkeypatch.setattr("foldwise.executors.local_resources.has_accelerator", lambda: False)


def here():
    """Name what the working folder holds."""
    return sorted(path.name for path in Path().iterdir() if path.name != "__pycache__")


def call(monkeypatch, capsys, *arguments):
    """Call the command line in this process; return its exit code and what it said."""
    monkeypatch.setattr(sys, "argv", ["foldwise", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back what `run` redirects
    before, began = here(), time.perf_counter()
    with pytest.raises(SystemExit) as end:
        foldwise.cli.main.main()
    assert time.perf_counter() - began < LONGEST
    assert here() == before
    said = capsys.readouterr()
    assert said.out == ""
    return end.value.code, said.err


def says(message, place, value, fix):
    """Check that a message is one line that names all three."""
    assert len(message.strip().splitlines()) == 1
    assert len(message) < 1500
    assert message.startswith(f"{place}: " if place else "expected ")
    assert value in message
    assert fix in message


# fmt: off
def bomb(levels, width=9):
    """Aliases of aliases: a kilobyte that stands for width ** levels values."""
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels))]
    return "\n".join(lines)


# --- job files that are none: content, place, value, fix ---------------------------------------------------------------

FILES = {
    "empty": (b"", "", "got nothing", "expected the keys of a job (data, estimator, space"),
    "only a comment": (b"# later\n", "", "got nothing", "expected the keys of a job"),
    "a list": (b"- a\n- b\n", "", "['a', 'b']", "expected the keys of a job"),
    "a word": (b"hello", "", "'hello'", "expected the keys of a job"),
    "binary": (b"\x7fELF\x02\x01\x00\xff\xfe", "", "not UTF-8 text", "save it as UTF-8"),
    "latin-1": ("name: Größe".encode("latin-1"), "", "not UTF-8 text", "save it as UTF-8"),
    "utf-16": ("name: x".encode("utf-16"), "", "not UTF-8 text", "save it as UTF-8"),
    "null characters": (b"name: a\x00b", "", "unacceptable character", "expected YAML"),
    "too large": (b"# " + b"x" * 2**23, "", "got a larger one", "at most 4 MiB"),
    "tabs": (b"data:\n\tloader: x", "line 2", r"'\t'", "indent with spaces"),
    "cut off": (b"data: {loader: [", "line 1", "stream end", "expected YAML"),
    "two documents": (b"seed: 1\n---\nseed: 2\n", "line 2", "another document", "expected YAML"),
    "a key twice": (b"seed: 1\nname: x\nseed: 2\n", "line 3", "'seed' stands twice", "expected YAML"),
    "a Python object": (b"data: !!python/object/apply:os.system ['true']", "line 1", "python/object/apply:os.system", "expected YAML"),
    "a time that is none": (b"seed: !!timestamp x", "", "groupdict", "expected YAML"),
    "a truth that is none": (b"seed: !!bool maybe", "", "maybe", "expected YAML"),
    "too many digits": (b"seed: " + b"9" * 5000, "", "5000 digits", "expected YAML"),
    "deep in brackets": (b"space: " + b"[" * 9999 + b"]" * 9999, "line 1", "nested deeper", "at most 50 levels"),
    "deep in lines": ("\n".join(" " * i + "a:" for i in range(500)).encode(), "line 50", "nested deeper", "at most 50 levels"),
    "deep by aliases": (bomb(60, 1).encode(), "line 50", "nested deeper", "at most 50 levels"),
    "a bomb of aliases": (bomb(12).encode(), "line 6", "stand for 1e+05", "at most 100000 values"),
    "a bomb of merges": (b"a: &a {k: 1}\n" + b"".join(b"%c: &%c {<<: [%s]}\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 108)), "line 6", "stand for", "at most 100000 values"),
    "an alias of itself": (b"space: &s {C: *s}", "line 1", "alias of what it stands in", "values that end"),
}


@pytest.mark.parametrize(("content", "place", "value", "fix"), FILES.values(), ids=FILES.keys())
def test_a_file_that_is_no_job_is_refused(tmp_path, monkeypatch, capsys, content, place, value, fix):
    (tmp_path / "job.yaml").write_bytes(content)
    code, said = call(monkeypatch, capsys, "run", "job.yaml")
    assert code == 2
    says(said.removeprefix("error: job.yaml: "), place, value, fix)


# --- jobs with a wrong key: the keys, place, value, fix ----------------------------------------------------------------

KEYS = {
    # names and shapes
    "unknown key": ({"serch": {}}, "serch", "'serch'", "did you mean search?"),
    "unknown key below": ({"folds": {"outter": 5}}, "folds.outter", "'outter'", "did you mean outer?"),
    "unknown key that looks like a type": ({"int": 5}, "int", "'int'", "Known: name, data"),
    "unknown key below that looks like a type": ({"folds": {"[": 5}}, "folds.[", "'['", "Known: outer, inner"),
    "a number as key": ({1: 2}, "1", "got 1", "keys that are text"),
    "no data": ({"data": {}}, "data", "neither", "one of loader and path"),
    "two sources": ({"data": {"loader": "a:b", "path": "c"}}, "data", "both", "one of loader and path"),
    "arguments of a file": ({"data": {"path": "c", "args": {"a": 1}}}, "data", "{'a': 1}", "with a loader only"),
    "null": ({"estimator": None}, "estimator", "None", "text or keys and values"),
    "a list for a mapping": ({"search": ["grid"]}, "search", "['grid']", "keys and values"),
    "an empty name": ({"name": ""}, "name", "''", "1 to 250 characters"),
    "a name of lines": ({"name": "a\nb"}, "name", r"'a\nb'", "in one line"),
    "a long name": ({"name": "n" * 251}, "name", "nnn", "1 to 250 characters"),
    "a very long value": ({"estimator": "x" * 100_000}, "estimator", "'xxx", "as in sklearn.svm:SVC"),
    # search
    "trials 0": ({"search": {"trials": 0}}, "search.trials", "got 0", "integer >= 1"),
    "trials below 0": ({"search": {"trials": -3}}, "search.trials", "-3", "integer >= 1"),
    "trials true": ({"search": {"trials": True}}, "search.trials", "True", "an integer"),
    "trials half": ({"search": {"trials": 1.5}}, "search.trials", "1.5", "an integer"),
    "trials nan": ({"search": {"trials": NAN}}, "search.trials", "nan", "an integer"),
    "trials inf": ({"search": {"trials": INF}}, "search.trials", "inf", "an integer"),
    "batch 0": ({"search": {"batch": 0}}, "search.batch", "got 0", "integer >= 1"),
    "batch text": ({"search": {"batch": "8"}}, "search.batch", "'8'", "an integer"),
    "unknown method": ({"search": {"method": "grd"}}, "search.method", "'grd'", "did you mean grid?"),
    "unknown option": ({"search": {"trails": 5}}, "search.trails", "'trails'", "did you mean trials?"),
    "another method's option": ({"search": {"method": "grid", "sampler": "tpe"}}, "search.sampler", "'sampler'", "Known: method, trials"),
    "unknown sampler": ({"search": {"method": "optuna", "sampler": "tpo"}}, "search.sampler", "'tpo'", "did you mean tpe?"),
    "a number as sampler": ({"search": {"method": "optuna", "sampler": 5}}, "search.sampler", "got 5", "a sampler's name"),
    "a list of options": ({"search": {"method": "optuna", "options": [1]}}, "search.options", "[1]", "names and values"),
    "an option no sampler has": ({"search": {"method": "optuna", "options": {"x": 1}}}, "search.options", "{'x': 1}", "TPESampler takes"),
    "a sampler without a seed": ({"search": {"method": "optuna", "sampler": {"use": "optuna.samplers:RandomSampler"}}}, "search.sampler", "RandomSampler", "write RandomSampler(seed=0)"),
    # folds
    "1 outer fold": ({"folds": {"outer": 1}}, "folds.outer", "got 1", "2 to 150 folds"),
    "folds below 0": ({"folds": {"outer": -5}}, "folds.outer", "-5", "2 to 150 folds"),
    "2 outer folds to share": ({"folds": {"outer": 2}}, "folds.inner", "got 2", "use folds.outer: 3 or more"),
    "more folds than rows": ({"folds": {"outer": 1000}}, "folds.outer", "1000", "2 to 150 folds"),
    "more folds than members": ({"folds": {"outer": 60}}, "folds.outer", "n_splits=60", "members in each class"),
    "folds true": ({"folds": {"outer": True}}, "folds.outer", "True", "an integer"),
    "folds in quotes": ({"folds": {"outer": "5"}}, "folds.outer", "'5'", "an integer"),
    "inner unknown": ({"folds": {"inner": "shred"}}, "folds.inner", "'shred'", "'shared', a number of folds or a splitter"),
    "1 inner fold": ({"folds": {"inner": 1}}, "folds.inner", "got 1", "2 to 150 folds"),
    "no repeats": ({"folds": {"repeats": 0}}, "folds.repeats", "got 0", "integer >= 1"),
    "a million repeats": ({"folds": {"repeats": 10**6}}, "folds.repeats", "1000000", "from 1 to 1000"),
    "repeats of a splitter": ({"folds": {"repeats": 2, "outer": {"use": f"{MODELS}:KFold"}}}, "folds.repeats", "KFold(n_splits=5, random_state=None", "use a Repeated* splitter"),
    "an estimator as splitter": ({"folds": {"outer": {"use": "sklearn.svm:SVC"}}}, "folds.outer", "SVC()", "a splitter or a list"),
    "a class as splitter": ({"folds": {"outer": {"object": f"{MODELS}:KFold"}}}, "folds.outer", "class KFold", "write KFold()"),
    "a splitter's wrong argument": ({"folds": {"outer": {"use": f"{MODELS}:KFold", "n_split": 3}}}, "folds.outer", "'n_split'", "KFold takes"),
    "folds without a class": ({"folds": {"outer": {"use": f"{MODELS}:KFold", "n_splits": 3}}}, "folds.outer", "class 0", "use a stratified splitter"),
    "folds that overlap": ({"folds": {"outer": {"use": f"{MODELS}:ShuffleSplit", "n_splits": 3}}}, "folds.inner", "overlap", "use folds.inner: 5"),
    "a group splitter without groups": ({"folds": {"outer": {"use": f"{MODELS}:GroupKFold"}}}, "folds.outer", "GroupKFold(", "'groups' parameter should not be None"),
    # estimator
    "no module:name": ({"estimator": "SVC"}, "estimator", "'SVC'", "as in sklearn.svm:SVC"),
    "unknown module": ({"estimator": "nowhere:SVC"}, "estimator", "'nowhere'", "install it, or mend the name"),
    "relative module": ({"estimator": "..x:y"}, "estimator", "'..x'", "mend the name"),
    "unknown class": ({"estimator": "sklearn.svm:SVD"}, "estimator", "'SVD'", "did you mean SVR?"),
    "a name that needs another import": ({"estimator": f"{MODELS}:HalvingGridSearchCV"}, "estimator", "'HalvingGridSearchCV'", "enable_halving_search_cv"),
    "no estimator": ({"estimator": "builtins:dict"}, "estimator", "has no fit()", "a scikit-learn estimator"),
    "a function": ({"estimator": "numpy:mean"}, "estimator", "numpy:mean", "missing 1 required positional argument"),
    "a number": ({"estimator": "math:pi"}, "estimator", "'math:pi'", "a class or a function"),
    "a wrong argument": ({"estimator": {"use": "sklearn.svm:SVC", "D": 1}}, "estimator", "{'D': 1}", "sklearn.svm:SVC takes"),
    "no use": ({"estimator": {"C": 5}}, "estimator", "{'C': 5}", "one of the keys use, pipeline"),
    "a pipeline of nothing": ({"estimator": {"pipeline": []}}, "estimator.pipeline", "[]", "a list of steps"),
    "a wrong step": ({"estimator": {"pipeline": [SCALER, "sklearn.svm:SVD"]}}, "estimator.pipeline[1]", "'SVD'", "did you mean SVR?"),
    "a step that does not transform": ({"estimator": {"pipeline": ["sklearn.svm:SVC", SCALER, "sklearn.svm:SVC"]}}, "estimator", "SVC()", "put it last"),
    "a step's wrong name": ({"estimator": {"pipeline": {"my__scale": SCALER, "svc": "sklearn.svm:SVC"}}}, "estimator", "'my__scale'", "name the step anew"),
    "a step's taken name": ({"estimator": {"pipeline": {"memory": SCALER, "svc": "sklearn.svm:SVC"}}}, "estimator", "'memory'", "name the step anew"),
    "columns of nothing": ({"estimator": {"columns": []}}, "estimator.columns", "[]", "a list of transformers"),
    "no column": ({"estimator": {"columns": [{"on": [], "step": "drop"}]}}, "estimator.columns[0].on", "[]", "column names"),
    "no model": ({"estimator": SCALER, "space": {"with_mean": [True, False]}, "scoring": "accuracy"}, "estimator", "StandardScaler", "add a model"),
    "numbers for a classifier": ({**REGRESSION, "data": {"loader": "regression_beside:load"}, "estimator": "sklearn.svm:SVC"}, "data.target", "continuous", "use a regressor"),
    # space
    "an empty space": ({"space": {}}, "space", "{}", "names and their values"),
    "unknown space": ({"space": "svm_rfb"}, "space", "'svm_rfb'", "did you mean svm_rbf?"),
    "a missing file of a space": ({"space": "gone.yaml"}, "space", "'gone.yaml'", "a space's path or name"),
    "a space's name beyond any file's": ({"space": "x" * 5000}, "space", "xxx", "a space's path or name"),
    "unknown param": ({"space": {"D": [1]}}, "space.D", "'D'", "Known: C, break_ties"),
    "param of a step that is not there": ({"estimator": {"pipeline": SCALED}, "space": {"svm__C": [1]}}, "space.svm__C", "'svm__C'", "did you mean svc__C?"),
    "a single value": ({"space": {"C": 3}}, "space.C", "got 3", "write [3]"),
    "no values": ({"space": {"C": []}}, "space.C", "empty list", "at least one value"),
    "values that are a number": ({"space": {"C": {"values": 5}}}, "space.C", "got 5", "write [5]"),
    "low above high": ({"space": {"C": {"float": [3, 1]}}}, "space.C", "low=3, high=1", "low < high"),
    "low equal to high": ({"space": {"C": {"int": [2, 2]}}}, "space.C", "low=2, high=2", "low < high"),
    "one bound": ({"space": {"C": {"float": [1]}}}, "space.C", "[1]", "float: [low, high]"),
    "log from 0": ({"space": {"C": {"float": [0, 1], "log": True}}}, "space.C", "low=0", "low > 0 with log"),
    "log as a word": ({"space": {"C": {"float": [1, 2], "log": "yes"}}}, "space.C", "'yes'", "true or false"),
    "nan as a bound": ({"space": {"C": {"float": [NAN, 1]}}}, "space.C", "nan", "low to be a number"),
    "infinity as a bound": ({"space": {"C": {"float": [1, INF]}}}, "space.C", "inf", "high to be a number"),
    "more than a float holds": ({"space": {"C": {"float": [1, HUGE]}}}, "space.C", "1000", "high to be a number"),
    "a distance beyond all numbers": ({"space": {"C": {"float": [-1.7e308, 1.7e308]}}}, "space.C", "1.7e+308", "narrower bounds"),
    "a fraction as an integer": ({"space": {"C": {"int": [1, 2.5]}}}, "space.C", "2.5", "an integer"),
    "true as an integer": ({"space": {"C": {"int": [True, 2]}}}, "space.C", "True", "an integer"),
    "more than 64 bits": ({"space": {"C": {"int": [1, 10**30]}}}, "space.C", str(10**30), "use Float"),
    "step 0": ({"space": {"C": {"float": [0, 1], "step": 0}}}, "space.C", "step=0", "0 < step"),
    "a step too large": ({"space": {"C": {"int": [1, 5], "step": 9}}}, "space.C", "step=9", "step <= high - low"),
    "a step too small": ({"space": {"C": {"float": [0, 1], "step": 1e-300}}}, "space.C", "1e-300", "use a larger one"),
    "step and log": ({"space": {"C": {"int": [1, 5], "step": 1, "log": True}}}, "space.C", "step=1, log=True", "not both"),
    "unknown option of a param": ({"space": {"C": {"float": [1, 2], "lgo": True}}}, "space.C", "'lgo'", "did you mean log?"),
    "two kinds": ({"space": {"C": {"float": [1, 2], "int": [1, 2]}}}, "space.C", "float, int", "one of float, int and values"),
    "when of nothing": ({"space": {"C": {"values": [1], "when": {"kernle": "rbf"}}, "kernel": ["rbf"]}}, "space.C", "'kernle'", "did you mean kernel?"),
    "when of no value": ({"space": {"C": {"values": [1], "when": {"kernel": "poly"}}, "kernel": ["rbf"]}}, "space.C", "'poly'", "Known: rbf"),
    "when in a circle": ({"space": {"C": {"values": [1], "when": {"gamma": 1}}, "gamma": {"values": [1], "when": {"C": 1}}}}, "space.C", "C, gamma", "without a circle"),
    "when of a Float": ({"space": {"C": {"float": [1, 2]}, "gamma": {"values": [1], "when": {"C": 1}}}}, "space.gamma", "'C'", "a Categorical or an Int"),
    "a grid over a range": ({"search": {"method": "grid"}, "space": {"C": {"float": [1, 2]}}}, "space.C", "Float(low=1", "give a list"),
    "a grid over too much": ({"search": {"method": "grid"}, "space": {"C": {"int": [1, 10**12]}}}, "space.C", "1000000000000", "a larger step"),
    "a grid that would be cut": ({"search": {"method": "grid", "trials": 2}, "space": {"C": [1, 2, 3]}}, "search.trials", "got 2", "leave search.trials out"),
    # scoring
    "unknown metric": ({"scoring": "acuracy"}, "scoring", "'acuracy'", "did you mean accuracy?"),
    "no metric": ({"scoring": []}, "scoring", "[]", "at least one metric"),
    "a metric twice": ({"scoring": ["accuracy", "accuracy"]}, "scoring", "['accuracy', 'accuracy']", "each metric once"),
    "a function that is no scorer": ({"scoring": {"a": "sklearn.metrics:accuracy_score"}}, "scoring", "accuracy_score", "use `make_scorer`"),
    "refit that is no metric": ({"scoring": ["accuracy"], "refit": "f1"}, "refit", "'f1'", "Known: accuracy"),
    "refit beside one metric": ({"scoring": "accuracy", "refit": "f1"}, "refit", "'f1'", "Known: accuracy"),
    "a ranking of numbers": ({**REGRESSION, "scoring": "roc_auc"}, "scoring", "'roc_auc'", "use r2 or neg_mean_squared_error"),
    "accuracy of numbers": ({**REGRESSION, "scoring": ["r2", "accuracy"]}, "scoring", "'accuracy'", "use r2 or neg_mean_squared_error"),
    "a ranking of three classes": ({"scoring": "roc_auc"}, "scoring", "'roc_auc'", "use roc_auc_ovr"),
    "f1 of three classes": ({"scoring": "f1"}, "scoring", "'f1'", "use f1_macro"),
    # everything else
    "seed below 0": ({"seed": -1}, "seed", "-1", "from 0 to 4294967295"),
    "seed true": ({"seed": True}, "seed", "True", "an integer"),
    "seed too large": ({"seed": 2**32}, "seed", "4294967296", "from 0 to 4294967295"),
    "n_jobs 0": ({"n_jobs": 0}, "n_jobs", "got 0", "use None or -1"),
    "n_jobs text": ({"n_jobs": "all"}, "n_jobs", "'all'", "an integer"),
    "verbose below 0": ({"verbose": -1}, "verbose", "-1", "integer >= 0"),
    "error_score unknown": ({"error_score": "rase"}, "error_score", "'rase'", "a number or 'raise'"),
    "error_score true": ({"error_score": True}, "error_score", "True", "a number"),
    "error_score infinite": ({"error_score": INF}, "error_score", "inf", "use nan"),
    "return_train_score text": ({"return_train_score": "yes"}, "return_train_score", "'yes'", "true or false"),
    "unknown executor": ({"executor": "rai"}, "executor", "'rai'", "did you mean ray?"),
    # resources
    "an unknown resource": ({"resources": {"cpus": 2}}, "resources.cpus", "another name", "did you mean cpu?"),
    "a resource without a name": ({"resources": {"": 1}}, "resources", "''", "write cpu, gpu or memory"),
    "cpu below 0": ({"resources": {"cpu": -1}}, "resources.cpu", "-1", "a number >= 0"),
    "cpu 0": ({"resources": {"cpu": 0}}, "resources.cpu", "got 0", "more than 0"),
    "cpu 1.5": ({"resources": {"cpu": 1.5}}, "resources.cpu", "1.5", "a whole number above 1"),
    "cpu nan": ({"resources": {"cpu": NAN}}, "resources.cpu", "nan", "a number >= 0"),
    "cpu beyond all numbers": ({"resources": {"cpu": HUGE}}, "resources.cpu", "1000", "a number >= 0"),
    "more cores than there are": ({"resources": {"cpu": 4096}}, "resources.cpu", "4096", "cores of this machine"),
    "a GPU where there is none": ({"resources": {"gpu": 1}}, "resources.gpu", "got 1", "set gpu: 0, or join a cluster"),
    "an unknown unit": ({"resources": {"memory": "4 XB"}}, "resources.memory", "'4 XB'", "such as '4GiB'"),
    "memory below 0": ({"resources": {"memory": -1}}, "resources.memory", "-1", "such as '4GiB'"),
    "memory beyond all numbers": ({"resources": {"memory": "9" * 400 + "GiB"}}, "resources.memory", "999", "fewer bytes"),
    "more memory than there is": ({"resources": {"memory": "900TiB"}}, "resources.memory", str(900 * 2**40), "ask for less"),
    "a resource of no cluster": ({"resources": {"license": 1}}, "resources.license", "'license'", "join one that has it"),
    "a resource for the serial executor": ({"executor": "serial", "resources": {"license": 1}}, "resources", "{'license': 1}", "use executor: ray"),
    # tracking
    "tracking 5": ({"tracking": 5}, "tracking", "got 5", "true or false"),
    "an unknown scheme": ({"tracking": {"uri": "htp://host:5000"}}, "tracking.uri", "'htp://host:5000'", "did you mean http?"),
    "a folder": ({"tracking": {"uri": "./mlruns"}}, "tracking.uri", "'./mlruns'", "write sqlite:///mlflow.db"),
    "a file's address": ({"tracking": {"uri": "file:///tmp/mlruns"}}, "tracking.uri", "'file:///tmp/mlruns'", "write sqlite:///mlflow.db"),
    "nothing": ({"tracking": {"uri": ""}}, "tracking.uri", "''", "write sqlite:///mlflow.db"),
    "no host": ({"tracking": {"uri": "http://"}}, "tracking.uri", "'http://'", "write http://host:port"),
    "no such port": ({"tracking": {"uri": "http://host:99999"}}, "tracking.uri", "'http://host:99999'", "the port from 1 to 65535"),
    "two slashes": ({"tracking": {"uri": "sqlite://mlflow.db"}}, "tracking.uri", "'sqlite://mlflow.db'", "three slashes"),
    "a folder as database": ({"tracking": {"uri": "sqlite:////tmp"}}, "tracking.uri", "'sqlite:////tmp'", "name another file"),
    "no database": ({"tracking": {"uri": "sqlite:///job.yaml"}}, "tracking.uri", "'sqlite:///job.yaml'", "name another file"),
    "no driver": ({"tracking": {"uri": "postgresql+nothing://host/name"}}, "tracking.uri", "postgresql+nothing", "write sqlite:///mlflow.db"),
    "an empty experiment": ({"tracking": {"experiment": " "}}, "tracking.experiment", "' '", "give another"),
    "a long experiment": ({"tracking": {"experiment": "x" * 501}}, "tracking.experiment", "xxx", "1 to 500 characters"),
    "unknown key of tracking": ({"tracking": {"url": "x"}}, "tracking.url", "'url'", "did you mean uri?"),
    # limits
    "a limit below 0": ({"limits": {"fit_seconds": -1}}, "limits.fit_seconds", "-1", "leave it out for no limit"),
    "a limit that is no number": ({"limits": {"seconds": NAN}}, "limits.seconds", "nan", "leave it out for no limit"),
    "a limit beyond all numbers": ({"limits": {"seconds": HUGE}}, "limits.seconds", "1000", "leave it out for no limit"),
    "an unknown limit": ({"limits": {"fit_second": 1}}, "limits.fit_second", "'fit_second'", "did you mean fit_seconds?"),
    # ledger
    "a server as a ledger": ({"ledger": "http://host"}, "ledger", "http://host", "a URL of SQLite or PostgreSQL"),
    "a ledger without a name": ({"ledger": ""}, "ledger", "''", "a database URL or a path"),
    "a ledger's unknown driver": ({"ledger": "postgresql+nothing://host/name"}, "ledger", "'nothing'", "as in postgresql://host/database"),
    "a ledger by two slashes": ({"ledger": "sqlite://x.db"}, "ledger", "'sqlite://x.db'", "as in sqlite:///ledger.db"),
    # loaders
    "unknown loader": ({"data": {"loader": "sklearn.datasets:load_irs"}}, "data.loader", "'load_irs'", "did you mean load_iris?"),
    "a loader's wrong argument": ({"data": {"loader": "sklearn.datasets:load_iris", "args": {"x": 1}}}, "data.args", "{'x': 1}", "load_iris takes"),
    "a loader that is none": ({"data": {"loader": "math:pi"}}, "data.loader", "'math:pi'", "a function"),
    "a loader of something else": ({"data": {"loader": "builtins:str"}}, "data.loader", "got str", "a Bunch, (X, y) or a frame"),
    "a loader of nothing": ({"data": {"loader": "builtins:dict"}}, "data.loader", "got none", "arrays named X (or data) and y (or target)"),
    "a loader that exits": ({"data": {"loader": "sys:exit"}}, "data.loader", "SystemExit", "to return data"),
    "a target that is not there": ({"data": {"loader": "sklearn.datasets:load_iris", "target": "flower"}}, "data.target", "'flower'", "Known: data, target"),
    "drop without columns": ({"data": {"loader": "sklearn.datasets:load_iris", "drop": ["a"]}}, "data.drop", "ndarray", "leave drop out"),
}


@pytest.mark.parametrize(("keys", "place", "value", "fix"), KEYS.values(), ids=KEYS.keys())
def test_a_wrong_key_of_a_job_is_refused(tmp_path, monkeypatch, capsys, keys, place, value, fix):
    monkeypatch.delitem(vars(sklearn.model_selection), "HalvingGridSearchCV", raising=False)  # there once anyone has enabled it
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**MINIMAL, **keys}))
    (tmp_path / "regression_beside.py").write_text("import numpy as np\ndef load():\n    return np.ones((20, 1)), np.arange(20) / 7\n")
    code, said = call(monkeypatch, capsys, "run", "job.yaml")
    assert code == 2
    says(said.removeprefix("error: job.yaml: "), place, value, fix)


# --- files of data: name, content, keys beside the path, place, value, fix ----------------------------------------------

ROWS = "a,b,y,g\n" + "".join(f"{i},{i % 3},{i % 2},{i // 4}\n" for i in range(40))
TABLES = {
    "a missing file": ("table.csv", ROWS, {"path": "gone.csv"}, "data.path", "which is not there", "mend the path"),
    "a folder": ("folder.csv/table.csv", ROWS, {"path": "folder.csv"}, "data.path", "which is a folder", "name a file in it"),
    "another kind": ("table.xlsx", ROWS, {}, "data.path", "'table.xlsx'", "of type .csv, .tsv, .parquet, .npz"),
    "an empty table": ("table.csv", "", {}, "data.path", "table.csv", "a readable csv file"),
    "a table without rows": ("table.csv", "a,b,y\n", {}, "data.path", "got none", "expected rows"),
    "a table that cannot be parsed": ("table.csv", 'a,y\n1,2\n"3,4\n', {}, "data.path", "EOF inside string", "a readable csv file"),
    "a table that is binary": ("table.csv", bytes(range(256)), {}, "data.path", "table.csv", "a readable csv file"),
    "a damaged gzip": ("table.csv.gz", gzip.compress(ROWS.encode())[:-20], {}, "data.path", "EOFError", "a readable csv file"),
    "no gzip": ("table.csv.gz", ROWS, {}, "data.path", "BadGzipFile", "a readable csv file"),
    "no parquet": ("table.parquet", ROWS, {}, "data.path", "table.parquet", "a readable parquet file"),
    "no npz": ("table.npz", ROWS, {}, "data.path", "table.npz", "a readable npz file"),
    "no target": ("table.csv", ROWS, {"target": None}, "data.target", "got none", "Known: a, b, y, g"),
    "a missing target": ("table.csv", ROWS, {"target": "income"}, "data.target", "'income'", "Known: a, b, y, g"),
    "a missing group column": ("table.csv", ROWS, {"groups": "gg"}, "data.groups", "'gg'", "did you mean g?"),
    "a missing weight column": ("table.csv", ROWS, {"fit_params": {"sample_weight": "w"}}, "data.fit_params.sample_weight", "'w'", "Known: a, b, g"),
    "a missing column to drop": ("table.csv", ROWS, {"drop": ["c"]}, "data.drop", "'c'", "Known: a, b, g"),
    "no feature left": ("table.csv", ROWS, {"drop": ["a", "b"], "groups": "g"}, "data", "0 feature(s)", "at least one column"),
    "a gap in the target": ("table.csv", ROWS + "1,2,,3\n", {}, "data.target", "NaN in 1 of 41, first at row 40", "drop or fill"),
    "a gap in the groups": ("table.csv", ROWS + "1,2,1,\n", {"groups": "g"}, "data.groups", "NaN in 1 of 41", "drop or fill"),
    "one class": ("table.csv", "a,y\n" + "1,0\n" * 9, {}, "data.target", "1 class, 0", "at least two classes"),
    "a rare class": ("table.csv", ROWS + "1,2,7,3\n", {}, "folds.outer", "class 7, which has 1 of 41", "merge or drop the class"),
}


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize(("file", "content", "keys", "place", "value", "fix"), TABLES.values(), ids=TABLES.keys())
def test_a_wrong_file_of_data_is_refused(tmp_path, monkeypatch, capsys, file, content, keys, place, value, fix):
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    data = {"path": file, "target": "y", **keys}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**MINIMAL, "data": data}))
    code, said = call(monkeypatch, capsys, "run", "job.yaml")
    assert code == 2
    says(said.removeprefix("error: job.yaml: "), place, value, fix)


# --- the command line: arguments, words that it says -------------------------------------------------------------------

WRONG_PATHS = [("gone.yaml", "No such file"), (".", "Is a directory"), ("circle.yaml", "symbolic links"), ("x" * 999 + ".yaml", "too long")]
COMMANDS = {
    **{f"{command} {reason}": ([command, path], (path[:99], reason, "expected a readable file"))
       for command in ("run", "plan", "validate", "report") for path, reason in WRONG_PATHS if (command, path) != ("report", ".")},
    "unknown command": (["rum"], ("'rum'", "Did you mean 'run'?")),
    "no job": (["run"], ("Missing argument 'JOB.yaml'", "see")),
    "two jobs": (["run", "a.yaml", "b.yaml"], ("b.yaml", "see")),
    "unknown option": (["run", "job.yaml", "--jason"], ("--jason", "--json")),
    "--set without =": (["run", "job.yaml", "--set", "seed"], ("--set", "'seed'", "key=value")),
    "--set without a key": (["plan", "job.yaml", "--set", "=5"], ("--set", "'=5'", "as in search.trials=10")),
    "--set of no YAML": (["plan", "job.yaml", "--set", "seed=[1"], ("--set seed", "line 1", "expected YAML")),
    "--set of an unknown key": (["validate", "job.yaml", "--set", "sead=5"], ("sead", "'sead'", "did you mean seed?")),
    "--set below text": (["validate", "job.yaml", "--set", "estimator.C=5"], ("--set", "'sklearn.svm:SVC'", "to name a key")),
    "--set of a wrong value": (["validate", "job.yaml", "--set", "search.trials=0"], ("search.trials", "got 0", "integer >= 1")),
    "--address that is a dashboard": (["run", "job.yaml", "--address", "http://host:8265"], ("--address", "'http://host:8265'", "write host:port")),
    "--address without a port": (["run", "job.yaml", "--address", "host"], ("--address", "'host'", "write host:port")),
    "--retry of something else": (["run", "job.yaml", "--retry", "all"], ("--retry", "'all'", "expected failed")),
    "--ledger of an unknown scheme": (["run", "job.yaml", "--ledger", f"htp://ann:{SECRET}@host"], ("ledger", "htp://host", "a URL of SQLite or PostgreSQL")),
    "--address beside serial": (["run", "job.yaml", "--address", "auto", "--set", "executor=serial"], ("executor", "'serial'", "leave the address out")),
    "report without a job": (["report"], ("Missing argument", "JOB")),
    "report from an unknown scheme": (["report", "x", "--tracking", "mlfow://x"], ("--tracking", "'mlfow://x'", "write sqlite:///mlflow.db")),
    "report of a job tracked nowhere": (["report", "nowhere.yaml"], ("tracking.uri", "'./mlruns'", "write sqlite:///mlflow.db")),
    "ui from an unknown scheme": (["ui", "--tracking", "ftp://x"], ("--tracking", "'ftp://x'", "write sqlite:///mlflow.db")),
    "ui at a word": (["ui", "--port", "http"], ("--port", "'http'", "from 1 to 65535")),
    "ui at no port": (["ui", "--port", "0"], ("--port", "'0'", "from 1 to 65535")),
    "ui beyond all ports": (["ui", "--port", "70000"], ("--port", "'70000'", "from 1 to 65535")),
    "spaces of an unknown name": (["spaces", "svm_rfb"], ("'svm_rfb'", "did you mean svm_rbf?")),
    "spaces of a folder": (["spaces", "./folder"], ("'./folder'", "a space's path or name")),
    "spaces of a binary file": (["spaces", "./binary.yaml"], ("binary.yaml", "not UTF-8", "save it as UTF-8")),
}


@pytest.mark.parametrize(("arguments", "words"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_wrong_command_is_refused(tmp_path, monkeypatch, capsys, arguments, words):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(MINIMAL))
    (tmp_path / "nowhere.yaml").write_text(yaml.safe_dump({**MINIMAL, "tracking": {"uri": "./mlruns"}}))
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    code, said = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("error: ")
    assert all(word in said for word in words), said


@pytest.mark.parametrize(("name", "value"), [("RAY_ADDRESS", "http://host:8265"), ("MLFLOW_TRACKING_URI", "mlfow://host")])
def test_what_the_environment_says_is_checked_too(tmp_path, monkeypatch, capsys, name, value):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**MINIMAL, "tracking": True}))
    monkeypatch.setenv(name, value)
    code, said = call(monkeypatch, capsys, "run", "job.yaml")
    assert code == 2
    says(said.removeprefix("error: job.yaml: "), name, f"'{value}'", "write ")


# --- Python: what is called, kind of the error, place, value, fix -------------------------------------------------------

X, Y = load_iris(return_X_y=True)
NUMBERS = np.arange(150) / 7


def searching(estimator=None, space=None, X=X, y=Y, groups=None, weights=None, **arguments):
    """Return a call of ``fit``."""
    given = {} if weights is None else {"sample_weight": weights}
    search = fw.NestedSearchCV(SVC() if estimator is None else estimator, {"C": [1, 10]} if space is None else space, **arguments)
    return lambda: search.fit(X, y, groups=groups, **given)


def pairs(train, held_out):
    return [(np.array(train), np.array(held_out))] * 3


CALLS = {
    # estimators and spaces
    "a class": (searching(SVC), TypeError, "estimator", "class SVC", "write SVC()"),
    "text as an estimator": (searching("SVC"), TypeError, "estimator", "'SVC'", "a scikit-learn estimator"),
    "a function as an estimator": (searching(np.mean), TypeError, "estimator", "function mean", "a scikit-learn estimator"),
    "steps in a wrong order": (searching(make_pipeline(SVC(), StandardScaler(), SVC())), TypeError, "estimator", "SVC()", "put it last"),
    "a step's wrong name": (searching(Pipeline([("a__b", StandardScaler()), ("s", SVC())])), ValueError, "estimator", "'a__b'", "name the step anew"),
    "two steps of one name": (searching(Pipeline([("s", StandardScaler()), ("s", SVC())])), ValueError, "estimator", "'s'", "name the step anew"),
    "a transformer": (searching(StandardScaler(), {"with_mean": [True]}, scoring="accuracy"), TypeError, "estimator", "StandardScaler", "add a model"),
    "a number as a space": (searching(space=5), ValueError, "space", "got 5", "a mapping of names to values"),
    "a union of nothing": (searching(space=[]), ValueError, "space", "empty list", "a mapping of names"),
    "a name that is a number": (searching(space={1: [1]}), ValueError, "space.1", "got 1", "the name of a param"),
    "text as values": (searching(space={"C": "abc"}), ValueError, "space.C", "'abc'", "write ['abc']"),
    "values in a matrix": (searching(space={"C": np.ones((2, 2))}), ValueError, "space.C", "shape (2, 2)", "a list of values"),
    "a param it lacks": (searching(space={"CC": [1]}), ValueError, "space.CC", "'CC'", "did you mean C?"),
    "low above high": (lambda: fw.Float(2, 1), ValueError, "", "low=2, high=1", "low < high"),
    "a word as a bound": (lambda: fw.Float("1", 2), ValueError, "", "'1'", "low to be a number"),
    "a fraction as an integer": (lambda: fw.Int(1, 2.5), ValueError, "", "2.5", "high to be an integer"),
    "log from 0": (lambda: fw.Int(0, 5, log=True), ValueError, "", "low=0", "low > 0"),
    "no choices": (lambda: fw.Categorical([]), ValueError, "", "empty list", "at least one value"),
    "a set of choices": (lambda: fw.Categorical({1}), ValueError, "", "{1}", "a list of values"),
    "a circle": (lambda: fw.SearchSpace({"a": fw.Categorical([1], {"b": 1}), "b": fw.Categorical([1], {"a": 1})}), ValueError, "a", "a, b", "without a circle"),
    "a space that is not there": (lambda: fw.SearchSpace("gone.yaml"), ValueError, "", "'gone.yaml'", "Known: conv_net, elastic_net"),
    # searches
    "unknown search": (searching(search="grd"), ValueError, "search", "'grd'", "did you mean grid?"),
    "a search's class": (searching(search=fw.GridSearch), TypeError, "search", "GridSearch", "a method's name or a Search"),
    "unknown sampler": (searching(search=fw.OptunaSearch("tpo")), ValueError, "sampler", "'tpo'", "did you mean tpe?"),
    "a list of options": (searching(search=fw.OptunaSearch(options=[1])), TypeError, "options", "[1]", "names and values"),
    "no trials": (searching(n_trials=0), ValueError, "n_trials", "got 0", "integer >= 1"),
    "true as trials": (searching(n_trials=True), TypeError, "n_trials", "True", "integer >= 1"),
    "no batch": (searching(batch=None), TypeError, "batch", "None", "integer >= 1"),
    # folds
    "half a fold": (searching(outer_cv=2.5), ValueError, "outer_cv", "2.5", "a number of folds"),
    "a splitter's class": (searching(outer_cv=KFold), ValueError, "outer_cv", "class KFold", "write KFold()"),
    "no pairs": (searching(outer_cv=[]), ValueError, "outer_cv", "empty list", "at least one (train, held-out) pair"),
    "rows on both sides": (searching(outer_cv=pairs(range(100), range(90, 150))), ValueError, "outer_cv: fold 0", "10 on both sides", "rows that are not learned from"),
    "rows beyond the data": (searching(outer_cv=pairs(range(100), range(100, 200))), ValueError, "outer_cv", "100 to 199", "from 0 to 149"),
    "rows below 0": (searching(outer_cv=pairs(range(100), [-3, -2])), ValueError, "outer_cv", "-3 to -2", "from 0 to 149"),
    "no rows held out": (searching(outer_cv=pairs(range(150), [])), ValueError, "outer_cv: fold 0", "0 held out", "rows on both sides"),
    "groups on both sides": (searching(outer_cv=StratifiedKFold(5), groups=np.arange(150) // 3), ValueError, "outer_cv: fold 0", "got group 3", "GroupKFold"),
    "fewer groups than folds": (searching(groups=np.arange(150) % 3), ValueError, "outer_cv", "groups: 3", "expected folds"),
    "groups that are missing": (searching(outer_cv=LeaveOneGroupOut()), ValueError, "outer_cv", "LeaveOneGroupOut()", "'groups' parameter"),
    "rows of the whole for the inner loop": (searching(inner_cv=pairs([0], [1])), ValueError, "inner_cv", "array([0])", "use a splitter"),
    "too short a PredefinedSplit": (searching(inner_cv=PredefinedSplit(np.zeros(10))), ValueError, "inner_cv", "got 10", "150 rows"),
    # data
    "no targets": (searching(y=None), ValueError, "y", "None", "expected targets"),
    "one class": (searching(y=np.zeros(150, int)), ValueError, "y", "1 class, 0", "at least two classes"),
    "a gap in y": (searching(y=np.r_[Y[:-1], np.nan]), ValueError, "y", "first at row 149", "drop or fill"),
    "infinity in y": (searching(Ridge(), {"alpha": [1]}, y=np.r_[NUMBERS[:-1], np.inf]), ValueError, "y", "inf at row 149", "drop such rows"),
    "numbers for classes": (searching(y=NUMBERS), ValueError, "y", "continuous", "use a regressor"),
    "labels of two types": (searching(y=np.array([1, "a"] * 75, dtype=object)), ValueError, "y", "int and str", "astype(str)"),
    "y too short": (searching(y=Y[:-1]), ValueError, "y", "149", "150"),
    "y in three dimensions": (searching(y=np.zeros((150, 2, 2))), ValueError, "y", "(150, 2, 2)", "reshape"),
    "no rows": (searching(X=np.zeros((0, 4)), y=[]), ValueError, "X", "0 sample(s)", "at least one row"),
    "no columns": (searching(X=np.zeros((150, 0))), ValueError, "X", "(150, 0)", "at least one column"),
    "one row of numbers": (searching(X=X[:, 0]), ValueError, "X", "(150,)", "use X.reshape(-1, 1)"),
    "text as X": (searching(X="abc"), TypeError, "X", "str", "an array, a frame or a list"),
    "a generator as X": (searching(X=iter([1])), TypeError, "X", "iterator", "an array, a frame or a list"),
    "groups too short": (searching(groups=[1, 2]), ValueError, "groups", "got 2", "150"),
    "groups of two types": (searching(groups=np.array([1, "a"] * 75, dtype=object)), ValueError, "groups", "int and str", "astype(str)"),
    "weights too short": (searching(weights=[1, 2]), ValueError, "fit_params.sample_weight", "got 2", "150"),
    "fit params that are a number": (lambda: fw.Dataset(X, Y, fit_params=5), TypeError, "fit_params", "got 5", "write a dict"),
    # scoring
    "a number as scoring": (searching(scoring=5), TypeError, "scoring", "got 5", "a metric's name"),
    "a metric as scorer": (searching(scoring=accuracy_score), TypeError, "scoring", "accuracy_score", "use `make_scorer`"),
    "refit of no metric": (searching(scoring=["accuracy"], refit="f1"), ValueError, "refit", "'f1'", "Known: accuracy"),
    "f1 of words": (searching(y=np.array(["n", "y"] * 75), scoring="f1"), ValueError, "scoring", "'f1'", "use f1_macro"),
    "a ranking of numbers": (searching(Ridge(), {"alpha": [1]}, y=NUMBERS, scoring="roc_auc"), ValueError, "scoring", "'roc_auc'", "use r2"),
    # everything else
    "error_score infinite": (searching(error_score=np.inf), ValueError, "error_score", "inf", "use nan"),
    "n_jobs 0": (searching(n_jobs=0), ValueError, "n_jobs", "got 0", "use None or -1"),
    "n_jobs half": (searching(n_jobs=1.5), TypeError, "n_jobs", "1.5", "an integer or None"),
    "verbose true": (searching(verbose=True), TypeError, "verbose", "True", "integer >= 0"),
    "a seed below 0": (searching(random_state=-1), TypeError, "random_state", "-1", "from 0 to 4294967295"),
    "a generator as seed": (searching(random_state=np.random.default_rng(0)), TypeError, "random_state", "Generator", "a RandomState or None"),
    "a list of resources": (searching(resources=[1]), TypeError, "resources", "[1]", "a mapping such as"),
    "a GPU where there is none": (searching(resources={"gpu": 1}), ValueError, "resources.gpu", "got 1", "join a cluster"),
    "an executor's class": (searching(executor=fw.SerialExecutor), TypeError, "executor", "SerialExecutor", "an Executor"),
    "a number as tracking": (searching(tracking=5), TypeError, "tracking", "got 5", "write sqlite:///mlflow.db"),
    "a folder as tracking": (searching(tracking="mlruns"), ValueError, "tracking", "'mlruns'", "write sqlite:///mlflow.db"),
    "an experiment without a name": (searching(experiment=""), ValueError, "experiment", "''", "give another"),
    "a number as experiment": (searching(experiment=5), TypeError, "experiment", "got 5", "write it as text"),
    "a number as address": (lambda: fw.RayExecutor(5), TypeError, "address", "got 5", "write host:port"),
    "an address without a port": (lambda: fw.RayExecutor("host"), ValueError, "address", "'host'", "write host:port"),
    "an address at port 0": (lambda: fw.RayExecutor("host:0"), ValueError, "address", "'host:0'", "from 1 to 65535"),
    # jobs
    "a job's keys as its path": (lambda: fw.Job.load(MINIMAL), TypeError, "path", "{'data'", "Job.parse"),
    "a path that no file can have": (lambda: fw.Job.load("a\0b.yaml"), ValueError, r"a\x00b.yaml", "null byte", "expected a readable file"),
    "a job's path as its keys": (lambda: fw.Job.parse("job.yaml"), TypeError, "job", "'job.yaml'", "Job.load"),
    "an array in a job": (lambda: fw.Job.parse({**MINIMAL, "space": {"C": np.arange(3)}}), TypeError, "job", "array([0, 1, 2])", "use lists"),
    "an unknown module": (lambda: fw.Job.parse({**MINIMAL, "estimator": "nowhere:SVC"}).open(), ImportError, "job: estimator", "'nowhere'", "mend the name"),
    "an address of a serial job": (lambda: fw.Job.parse({**MINIMAL, "executor": "serial"}).plan("auto"), ValueError, "job: executor", "'serial'", "leave the address out"),
    "tracking nowhere": (lambda: fw.Job.parse(MINIMAL).run(tracking="htp://x"), ValueError, "job: tracking", "'htp://x'", "did you mean http?"),
}


@pytest.mark.parametrize(("called", "kind", "place", "value", "fix"), CALLS.values(), ids=CALLS.keys())
def test_a_wrong_argument_is_refused(called, kind, place, value, fix):
    before, began = here(), time.perf_counter()
    with pytest.raises(InputError) as caught:
        called()
    assert isinstance(caught.value, kind)
    assert time.perf_counter() - began < LONGEST
    assert here() == before
    says(str(caught.value), place, value, fix)
# fmt: on


def test_overrides_that_are_no_mapping_are_refused(tmp_path):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(MINIMAL))
    for overrides, words in (([1], "write a dict"), ({5: 1}, "write text")):
        with pytest.raises(TypeError, match=f"overrides: .*{words}"):
            fw.Job.load("job.yaml", overrides)


def test_a_module_that_exits_when_it_is_imported_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "exits_at_once.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**MINIMAL, "estimator": "exits_at_once:Model"}))
    code, said = call(monkeypatch, capsys, "run", "job.yaml")
    assert code == 2
    says(said.removeprefix("error: job.yaml: "), "estimator", "'exits_at_once' (SystemExit", "mend the name")


# --- whole processes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "gone.yaml"],
        ["run", "job.yaml", "--set", "tracking.uri=htp://x"],
        ["run", "job.yaml", "--set", "resources.cpu=4096", "--set", "search.method=optuna"],
        ["validate", "job.yaml", "--set", "scoring=roc_auc"],
    ],
)
def test_a_process_ends_with_2_and_leaves_nothing(tmp_path, arguments):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(MINIMAL))
    done = subprocess.run(
        [sys.executable, "-m", "foldwise.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert here() == ["job.yaml"]


# --- secrets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        f"htp://ann:{SECRET}@host:5000",
        f"http://ann:{SECRET}@host:99999",
        f"https://ann:{SECRET}@",
        f"postgresql+nothing://ann:{SECRET}@host/name",
        f"postgresql://ann:{SECRET}@host:port/name",
        f"mysql+nothing://host/name?user=ann&password={SECRET}",
    ],
)
@pytest.mark.parametrize("arguments", [["run", "job.yaml", "--set", "tracking.uri={}"], ["report", "x", "--tracking", "{}"]])
def test_no_message_tells_the_password_of_a_tracking_uri(tmp_path, monkeypatch, capsys, uri, arguments):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(MINIMAL))
    code, said = call(monkeypatch, capsys, *(argument.format(uri) for argument in arguments))
    assert code == 2
    assert SECRET not in said
    assert "host" in said or "https://" in said


def test_no_message_tells_the_password_of_a_ray_address(tmp_path, monkeypatch, capsys):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(MINIMAL))
    address = f"ray://ann:{SECRET}@host:10001"
    code, said = call(monkeypatch, capsys, "run", "job.yaml", "--address", address)
    assert code == 2
    assert SECRET not in said
    monkeypatch.setenv("RAY_ADDRESS", address)
    code, said = call(monkeypatch, capsys, "run", "job.yaml")
    assert code == 2
    assert SECRET not in said
    assert "RAY_ADDRESS" in said


def test_no_message_tells_the_password_of_a_path(tmp_path, monkeypatch, capsys):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**MINIMAL, "data": {"path": f"https://ann:{SECRET}@host/y.csv"}}))
    code, said = call(monkeypatch, capsys, "run", "job.yaml")
    assert code == 2
    assert SECRET not in said
    assert "an address; download it first" in said


def test_a_job_is_kept_without_the_password_in_it(monkeypatch):
    kept = []

    def run_plan(*_, job_text, **__):
        kept.append(job_text)
        return None, None, None

    monkeypatch.setattr("foldwise.job.launch.run_plan", run_plan)
    uri = f"http://ann:{SECRET}@127.0.0.1:5000"
    fw.Job.parse({**MINIMAL, "executor": "serial", "tracking": {"uri": uri}}).run()
    assert SECRET not in kept[0]
    assert masked(uri) == "http://127.0.0.1:5000" in kept[0]
