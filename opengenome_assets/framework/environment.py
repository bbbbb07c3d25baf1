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
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from importlib.util import find_spec
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
COMPUTING = re.compile(r"(kernels|plots|search)\b|\w+\.(passes|plots)\b")
# Until then digests counted docstrings and imports too, and cannot be compared.
COMPARABLE_SINCE = (0, 2)
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
        digits of the SHA-256 of each one's code, by the module's name within the package. Comments,
        docstrings and imports do not count.
    """
    found: dict[str, str] = {}
    waiting = [name.removeprefix(f"{PACKAGE.name}.")]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found[module], imports = _parse(module)
            waiting += [each for each in imports if COMPUTING.match(each)]
    return dict(sorted(found.items()))


def is_comparable(package_version: str) -> bool:
    """Tell whether the digests that a version of the package recorded can be compared with today's."""
    return tuple(int(number) for number in re.findall(r"\d+", package_version)[:2]) >= COMPARABLE_SINCE


def changed_modules(recorded: Mapping[str, str]) -> list[str]:
    """Return which of the modules that a record names are not as they were then, or are gone."""
    return [name for name, was in recorded.items() if not _file(name).exists() or _parse(name)[0] != was]


def _file(module: str) -> Path:
    """Return the file of a module of this package, or of a group's package elsewhere by its full name."""
    path = PACKAGE.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if path.exists():
        return path
    with suppress(ImportError):  # gone
        if (spec := find_spec(module)) and spec.origin:
            return Path(spec.origin)
    return path


@cache
def _parse(module: str) -> tuple[str, tuple[str, ...]]:
    """Return a digest of what a module computes, and the modules of this package that it imports."""
    tree = ast.parse(_file(module).read_bytes())
    imported = tuple(name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in _named(node))
    computing = ast.dump(_WithoutWords().visit(tree)).encode()
    return hashlib.sha256(computing).hexdigest()[:DIGITS], imported


class _WithoutWords(ast.NodeTransformer):
    """Takes docstrings and imports out of a module: neither changes what is computed, and a move changes both."""

    def visit_Import(self, node: ast.Import) -> None:
        """Take an import out."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Take an import out."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Take a string that stands by itself out."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def _named(node: ast.ImportFrom) -> Iterator[str]:
    """Yield the modules of this package that an import names; a module's members stand for the module."""
    package, _, room = (node.module or "").partition(".")
    if package == PACKAGE.name and room:
        for each in node.names:
            name = f"{room}.{each.name}"
            yield name if _file(name).exists() else room
