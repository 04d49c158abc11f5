"""The source tree keeps the order that its docstring gives, and ``platform/`` does not shadow the standard library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform" / "foldwise"

ORDER = [
    "safety", "errors", "trial", "events", "keys", "inputs", "process", "models", "space", "data", "search", "plan", "worker",
    "ledger", "executors", "stats", "reduce", "loop", "report", "listeners", "job", "estimator", "cluster", "cli",
]  # fmt: skip
TOP = {
    "platform", "search_spaces", "jobs", "tests", "docker-compose.yml", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE",
    "requirements.lock", ".ci", "benchmarks", "docs", "deploy", ".gitignore", ".dockerignore", ".gitattributes", ".env.example",
    "docker-compose.gpu.yml",
}  # fmt: skip


def name_of(path):
    """Return a module's name within the package: "loop.run", or "loop" for the folder's ``__init__``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path):
    """Name the modules of the package that a module imports, wherever in it that stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "foldwise":
            home = node.module.partition(".")[2]
            inside = {f"{home}.{alias.name}".strip(".") for alias in node.names}
            found |= {one if one in MODULES else home for one in inside}
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("foldwise.")}
    return found


def part_of(name):
    return name.split(".")[0]


IMPORTS = {name: imports_of(path) for name, path in MODULES.items() if part_of(name) not in {"", "testing"}}


def test_a_module_imports_only_from_above_it():
    place = {part: number for number, part in enumerate(ORDER)}
    assert {part_of(name) for name in IMPORTS} == set(ORDER)
    upward = {(name, one) for name, used in IMPORTS.items() for one in used if place[part_of(one)] > place[part_of(name)]}
    assert upward == set()


def test_no_modules_import_each_other_in_a_circle():
    left = {name: {one for one in used if one in IMPORTS and one != name} for name, used in IMPORTS.items()}
    # What a folder's __init__ imports is what it gives away; its modules do not import it.
    assert {name for name, used in left.items() for one in used if name.startswith(f"{one}.")} == set()
    while leaves := {name for name, used in left.items() if not used & left.keys()}:
        left = {name: used for name, used in left.items() if name not in leaves}
    assert left == {}


def test_folders_are_small_and_the_root_holds_the_nouns():
    sizes = {}
    for name, path in MODULES.items():
        if path.name != "__init__.py":
            folder = name.rpartition(".")[0]
            sizes[folder] = sizes.get(folder, 0) + 1
    assert sizes.pop("") <= 7  # and __init__
    assert {folder: size for folder, size in sizes.items() if size > 20} == {}


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
