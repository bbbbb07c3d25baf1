"""The house: which room may import what, and that no room knows a table of another by its name."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import opengenome_assets
from opengenome_assets import groups

PACKAGE = Path(opengenome_assets.__path__[0])
REPOSITORY = PACKAGE.parent
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))


def test_imports_point_one_way():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


@cache
def texts(module: Path) -> list[tuple[int, str]]:
    """Return the line and the text of every string in a module that is no docstring."""
    tree = ast.parse(module.read_bytes())
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [(node.lineno, str(node.value)) for node in strings if id(node) not in words]


@pytest.mark.parametrize("group", groups.GROUPS, ids=lambda group: group.name)
def test_no_table_is_named_outside_its_group(group):
    """A name of one word counts in names, paths and lists; in a sentence such a word is English."""
    names = [each.name.partition("{")[0] for each in groups.Specs(group.tables)]
    named = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, names))})(?!\w)")
    found = [
        f"{module.relative_to(PACKAGE)}:{line}: {text}"
        for module in PACKAGE.rglob("*.py")
        if module.relative_to(PACKAGE).parts[0] != group.name
        for line, text in texts(module)
        if any("_" in name or " " not in text for name in named.findall(text))
    ]
    assert found == []


def test_private_parts_of_dagster_stand_in_one_module():
    private = re.compile(r"^\s*(from|import) (dagster\._|dagster_shared)", re.MULTILINE)
    users = [module.relative_to(PACKAGE) for module in PACKAGE.rglob("*.py") if private.search(module.read_text())]
    assert users == [Path("framework/private.py")]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(PACKAGE.parent)))
def test_a_room_says_what_belongs_in_it_and_what_does_not(room):
    words = ast.get_docstring(ast.parse((room / "__init__.py").read_bytes())) or ""
    assert re.search(r"[Bb]elongs? (in )?here", words), room
    assert "not belong here" in words or "does not" in words.lower(), room


@pytest.mark.long
@pytest.mark.parametrize(
    "module",
    [
        "opengenome_assets.search.passes",
        "opengenome_assets.corpus.passes.parse",
        "opengenome_assets.storage.tables",
        "opengenome_assets.lineage.inventory",
        "opengenome_assets.cli",
        "opengenome_assets.groups",
    ],
)
def test_a_worker_a_reader_and_the_command_line_import_no_dagster(module):
    ask = f"import sys, {module}; print([name for name in sys.modules if name.split('.')[0] in ('dagster', 'pyspark')])"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("module", ["opengenome_assets.storage.tables", "opengenome_assets.cli"])
def test_a_reader_of_tables_and_the_command_line_import_no_numba(module):
    ask = f"import sys, {module}; print('numba' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"


@pytest.mark.long
def test_dagster_starts_without_the_libraries_that_draw():
    ask = (
        "import sys, opengenome_assets.definitions; "
        "print([name for name in ('matplotlib', 'mpl_toolkits', 'PIL', 'reportlab') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


@pytest.mark.long
@pytest.mark.parametrize("command", [["info"], ["search", "--help"], ["search", "similar", "--help"], ["--help"]])
def test_a_command_that_only_reads_imports_no_dagster(command, tmp_path):
    ask = (
        "import sys; from opengenome_assets.cli import main; main(standalone_mode=False); "
        "print([name for name in sys.modules if name.split('.')[0] in ('dagster', 'pyspark', 'pandas')])"
    )
    environment = {"OPENGENOME_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    answer = subprocess.run(
        [sys.executable, "-c", ask, *command], capture_output=True, text=True, check=True, env=environment
    )
    assert answer.stdout.endswith("\n[]\n")
