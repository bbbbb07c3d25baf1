"""What runs: the code of this package, the commit that it is at, and the libraries under it.

Belongs here: facts about the running program that the record of a result keeps. None of them decides a result by
itself, so none counts in its data version: they are what to look at when two results that should be equal are not.
Each is looked up once a process. Does not belong here: the record (``provenance.py``).
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
COMMIT_VARIABLE = "OPENGENOME_COMMIT"
LIBRARIES = (
    "opengenome-assets",
    "pyspark",
    "dagster",
    "deltalake",
    "pyarrow",
    "numba",
    "numpy",
    "pandas",
    "biopython",
    "isal",
    "backports.zstd",
    "matplotlib",
)
# What computes results; the rest of the package stores, sends and shows them, and is covered by the commit.
COMPUTING = ("kernels", "tasks", "search", "plots")
DIGITS = 16


@cache
def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on, by name."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}


@cache
def commit() -> str:
    """Return the git commit of this code, followed by ``+changes`` where files differ from it.

    Outside of a checkout it is what the environment variable OPENGENOME_COMMIT says, which images of containers can be
    given when they are built, and empty without it.
    """
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return os.environ.get(COMMIT_VARIABLE, "")
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--", PACKAGE.name]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):  # git is not installed, or does not trust the folder's owner
        return ""
    head = next((line.removeprefix("# branch.oid ") for line in told if line.startswith("# branch.oid ")), "")
    changed = any(not line.startswith("#") for line in told)
    return f"{head}+changes" if changed else head


@cache
def modules(name: str) -> dict[str, str]:
    """Return the modules that a result is computed by, each with a digest of its source.

    Parameters
    ----------
    name
        The module that computes it, such as ``opengenome_assets.corpus.passes.kmers``.

    Returns
    -------
    dict
        That module and what it imports, directly or not, of kernels, passes, search and plots: the first 16 hexadecimal
        digits of the SHA-256 of each one's code, by the module's name within the package. Comments do not count.
    """
    found: dict[str, str] = {}
    waiting = [name.removeprefix(f"{PACKAGE.name}.")]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found[module], imports = _parse(module)
            waiting += [each for each in imports if each.startswith(COMPUTING)]
    return dict(sorted(found.items()))


def changed_modules(recorded: Mapping[str, str]) -> list[str]:
    """Return which of the modules that a record names are not as they were then, or are gone."""
    return [name for name, was in recorded.items() if not _file(name).exists() or _parse(name)[0] != was]


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _parse(module: str) -> tuple[str, tuple[str, ...]]:
    """Return a digest of a module's code, without comments and layout, and the modules of this package it imports."""
    tree = ast.parse(_file(module).read_bytes())
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:DIGITS]
    return digest, tuple(name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in _named(node))


def _named(node: ast.ImportFrom) -> Iterator[str]:
    """Yield the modules of this package that an import names; a module's members stand for the module."""
    package, _, room = (node.module or "").partition(".")
    if package == PACKAGE.name and room:
        for each in node.names:
            name = f"{room}.{each.name}"
            yield name if _file(name).exists() else room
