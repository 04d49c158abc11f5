"""The source tree keeps the order that its docstring gives, and ``platform/`` does not shadow the standard library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform" / "foldwise"

ORDER = [
    "safety", "errors", "process", "trial", "events", "keys", "inputs", "models", "space", "data", "search", "plan", "worker",
    "ledger", "executors", "stats", "reduce", "loop", "report", "listeners", "job", "estimator", "cluster", "cli",
]  # fmt: skip
EXEMPT = {"__init__", "testing"}
TOP = {
    "platform", "search_spaces", "jobs", "tests", "docker-compose.yml", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE",
    "requirements.lock", ".ci", "benchmarks", "docs", "deploy", ".gitignore", ".dockerignore", ".gitattributes", ".env.example",
    "docker-compose.gpu.yml",
}  # fmt: skip


def modules():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if part_of(path) not in EXEMPT]


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "foldwise" else [f"foldwise.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("foldwise."))


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_above_it(path):
    upward = {part for part in imported_parts(path) if ORDER.index(part) > ORDER.index(part_of(path))}
    assert not upward


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        (
            "ray",
            {
                "executors/ray_tasks.py",
                "executors/ray_session.py",
                "executors/code.py",
                "executors/compat.py",
                "executors/tune/",
                "cluster/jobs_api.py",
            },
        ),
        ("mlflow", {"listeners/tracking/"}),
        ("optuna", {"search/optuna.py"}),
        ("tensorflow", {"models"}),
        ("keras", {"models"}),
    ],
)
def test_a_heavy_library_is_imported_only_where_it_has_its_home(library, homes):
    importers = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == library for name in names):
                importers.add(path.relative_to(PACKAGE).as_posix())
    assert {one for one in importers if not any(one.startswith(home) for home in homes)} == set()


def test_the_standard_librarys_platform_is_found_from_the_repo_root():
    code = "import platform, sys; assert platform.python_version(); print(platform.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "foldwise" not in found
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_top_level_holds_only_what_the_design_names():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in tracked.stdout.splitlines()} <= TOP


@pytest.mark.parametrize("code", ["import foldwise", "import foldwise; foldwise.Float; dir(foldwise)"])
def test_importing_foldwise_imports_nothing_heavy(code):
    heavy = ["ray", "mlflow", "optuna", "sklearn", "pandas", "tensorflow", "keras", "scipy"]
    script = f"{code}\nimport sys\nprint([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_help_imports_nothing_heavy():
    heavy = ["ray", "mlflow", "optuna", "sklearn", "pandas", "tensorflow", "keras", "scipy"]
    script = (
        "import sys\nsys.argv = ['foldwise', '--help']\nfrom foldwise.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_every_public_name_can_be_imported():
    import foldwise

    assert all(getattr(foldwise, name) is not None for name in foldwise.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        foldwise.nothing  # noqa: B018
