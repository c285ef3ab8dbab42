"""The rules of the house that no tool holds by itself."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "operator" / "github_onedev_sync"
MODULES = sorted(HOUSE.rglob("*.py"))
CLOCKS = {HOUSE / "adapters" / "clock.py", HOUSE / "worker" / "clock.py"}
BORDERS = {HOUSE / "engine" / "engine.py", HOUSE / "worker" / "run.py"}
READS_TIME = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|monotonic|monotonic_ns))\b")
LINES = 300


def ids(path: Path) -> str:
    return str(path.relative_to(HOUSE))


every_module = pytest.mark.parametrize("path", MODULES, ids=ids)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


def test_the_standard_library_keeps_its_operator() -> None:
    """`operator/__init__.py` would shadow it for every process started in this directory."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert len(MODULES) > 50


@every_module
def test_modules_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES


@every_module
def test_modules_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@every_module
def test_only_the_clocks_read_the_time(path: Path) -> None:
    found = READS_TIME.search(path.read_text())
    assert found is None or path in CLOCKS, f"{found and found[0]}: take it from a Clock, or as an argument"


@every_module
def test_only_the_borders_catch_whatever_comes(path: Path) -> None:
    """One resource's fault must not be another's. Who cleans up and raises again swallows nothing."""
    broad = {"Exception", "BaseException"}
    for node in nodes(path):
        if isinstance(node, ast.ExceptHandler):
            named = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else broad
            raises_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            assert not named & broad or raises_again or path in BORDERS, f"line {node.lineno}"


@every_module
def test_nothing_rests_on_assert(path: Path) -> None:
    """`python -O` leaves them out. What only tells a type checker that something is not None does no harm."""
    for node in nodes(path):
        if isinstance(node, ast.Assert):
            assert re.fullmatch(r"[\w.]+ is not None", ast.unparse(node.test)), f"line {node.lineno}"


def test_rooms_import_only_what_they_may() -> None:
    """The contracts stand in .importlinter."""
    tool = Path(sys.executable).with_name("lint-imports")
    path = os.pathsep.join([str(ROOT / "operator"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [tool, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
