"""The environment: this package's code and commit, and the libraries under it.

Belongs here: facts about the running program for the record of a result. None of them decides a result by itself, so
none counts in its data version. They explain a difference between two results that should be equal. Each is looked up
once per process. Does not belong here: the record (``storage/record.py``).
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
# Modules that compute results. The rest of the package stores, sends and shows them; the commit covers it.
COMPUTING = re.compile(r"(kernels|plots|search)\b|\w+\.(passes|plots)\b")
# Earlier digests included docstrings and imports, and cannot be compared.
COMPARABLE_SINCE = (0, 2)
DIGITS = 16


@cache
def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on, by name."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}


@cache
def commit() -> str:
    """Return the git commit of this code, followed by ``+changes`` if files differ from it.

    Outside of a checkout it is the variable OPENGENOME_COMMIT, which the build of an image can set, or empty.
    """
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return os.environ.get(COMMIT_VARIABLE, "")
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--", PACKAGE.name]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):  # git is not installed, or does not trust the folder's owner
        return ""
    head = next((line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")), "")
    changed = any(not line.startswith("#") for line in lines)
    return f"{head}+changes" if changed else head


@cache
def modules(name: str) -> dict[str, str]:
    """Return the modules that compute a result, each with a digest of its source.

    Parameters
    ----------
    name
        The module that computes it, such as ``opengenome_assets.corpus.passes.kmers``.

    Returns
    -------
    dict
        Digests by the module's name within the package: 16 hexadecimal digits of the SHA-256 of its code without
        comments, docstrings and imports. It includes all directly or indirectly imported kernels, passes, search and
        plots.
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
    """Return whether the digests that a version of the package recorded can be compared with current ones."""
    return tuple(int(number) for number in re.findall(r"\d+", package_version)[:2]) >= COMPARABLE_SINCE


def changed_modules(recorded: Mapping[str, str]) -> list[str]:
    """Return the modules of a record that have changed since or are gone."""
    return [name for name, then in recorded.items() if not _file(name).exists() or _parse(name)[0] != then]


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
    """Return a digest of a module's computing code, and the modules of this package that it imports."""
    tree = ast.parse(_file(module).read_bytes())
    nodes = list(ast.walk(tree))
    named = dict(each for node in nodes if isinstance(node, ast.ImportFrom) for each in _named(node))
    # Modules of a package that is imported whole, and imports them when they are used.
    used = [f"{named[part[0]]}.{part[1]}" for node in nodes if (part := _attribute(node)) and part[0] in named]
    imported = (*named.values(), *(name for name in used if _file(name).exists()))
    computing = ast.dump(_WithoutWords().visit(tree)).encode()
    return hashlib.sha256(computing).hexdigest()[:DIGITS], imported


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings and imports from a module: neither changes results, and a move changes both."""

    def visit_Import(self, node: ast.Import) -> None:
        """Remove an import."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Remove an import."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Remove a string that stands alone."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def _named(node: ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Yield the names that an import gives, and the modules of this package that they mean or are members of."""
    package, _, room = (node.module or "").partition(".")
    if package == PACKAGE.name:
        for each in node.names:
            name = f"{room}.{each.name}".removeprefix(".")
            if _file(name).exists():
                yield each.asname or each.name, name
            elif room:
                yield each.asname or each.name, room


def _attribute(node: ast.AST) -> tuple[str, str] | None:
    """Return a name and its attribute, such as ``plots`` and ``kmers``; None for any other node."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id, node.attr
    return None
