"""The tree of what made something, down to files.

Belongs here: following records upstream, and writing what was found as text. Does not belong here: finding one record
(``records.py``). Needs no Dagster instance: all is read from what lies beside the rows and pictures themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opengenome_assets.framework import environment
from opengenome_assets.framework.table import Role, Specs
from opengenome_assets.lineage.records import Kind, Record, Records, find
from opengenome_assets.storage.history import History
from opengenome_assets.storage.record import Provenance, abbreviated
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets.storage.tables import Home

FILES_SHOWN = 20


@dataclass(frozen=True)
class File:
    """A source file, as the catalogue has it; ``revision`` is the commit on the Hub, where it is from there."""

    source: str
    path: str
    bytes: int
    sha256: str
    uri: str
    revision: str


@dataclass(frozen=True)
class Node:
    """Something that was made.

    Attributes
    ----------
    name, kind, version
        What it is.
    made
        When, in ISO 8601; None if its record does not say so.
    data_version
        Digest of all that determines its content.
    inputs
        Names of the nodes it was made from, in the tree.
    files
        The source files, of the catalogue alone.
    notes
        What a reader should know before relying on it.
    record
        All that is recorded; None if nothing is.
    """

    name: str
    kind: Kind
    version: int | None
    made: str | None
    data_version: str
    inputs: list[str] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    record: Provenance | None = None


@dataclass(frozen=True)
class Tree:
    """All that something was made from: each node once, by its name and version; the root is the first."""

    root: str
    nodes: dict[str, Node]


def trace(home: Home, specs: Specs, record: Record) -> Tree:
    """Follow a record upstream to the files.

    An input whose record cannot be found any more, or is not of what was read, is a node that says so.
    """
    records = Records(home)
    nodes: dict[str, Node] = {}
    root = _label(record.name, record.version)
    waiting = [(root, record)]
    while waiting:
        label, current = waiting.pop()
        if label in nodes:
            continue
        inputs: list[str] = []
        for name, given in current.provenance.inputs.items():
            version = given.version if records.history(name) else None
            upstream = _label(name, version)
            inputs.append(upstream)
            try:
                found = records.find(name, version)
            except LookupError as error:
                nodes[upstream] = Node(name, "table", given.version, None, given.data_version, notes=[str(error)])
                continue
            if found.provenance.data_version == given.data_version:
                waiting.append((upstream, found))
            else:
                nodes[upstream] = Node(
                    name, found.kind, found.version, None, given.data_version, notes=["has been made again since"]
                )
        nodes[label] = _node(records, specs, current, inputs)
    return Tree(root, {root: nodes.pop(root), **nodes})


def _label(name: str, version: int | None) -> str:
    return name if version is None else f"{name} version {version}"


def _node(records: Records, specs: Specs, record: Record, inputs: list[str]) -> Node:
    made, notes, files = record.provenance, [], []
    comparable = environment.is_comparable(made.package_version)
    if comparable and (changed := environment.changed_modules(made.modules)):
        notes.append(f"since then the code has changed in {', '.join(changed)}; code version then: {made.code_version}")
    history = records.history(record.name)
    if history and (others := _other_code(history, record)):
        notes.append(
            f"version {', '.join(map(str, others))}, of which parts may have been used again, was made with the same "
            "code version by other code"
        )
    if specs.role(record.name) is Role.CATALOGUE:
        try:
            rows = records.home.table(record.name).at(record.version).read().to_pylist()
            files = [File(**{name: row[name] for name in File.__dataclass_fields__}) for row in rows]
        except MissingVersionError as error:
            notes.append(str(error))
    return Node(
        record.name,
        record.kind,
        record.version,
        record.made.isoformat(timespec="seconds") if record.made else None,
        made.data_version,
        inputs,
        files,
        notes,
        made,
    )


def _other_code(history: History, record: Record) -> list[int]:
    """Return the versions before a table's that claim the same code version, but were made by other code."""
    now = record.provenance
    earlier = [
        (number, made)
        for number, version in history.versions.items()
        if version.record and number < (record.version or 0) and (made := history.provenance(number))
    ]
    return [
        number
        for number, made in earlier
        if made.code_version == now.code_version
        and made.modules != now.modules
        and all(each.modules and environment.is_comparable(each.package_version) for each in (made, now))
    ]


def draw(tree: Tree, *, files: int = FILES_SHOWN, brief: bool = False) -> list[str]:
    """Write a tree as lines of text; what occurs in several places is written out in the first.

    Parameters
    ----------
    tree
        What to write.
    files
        How many source files are named at most.
    brief
        Leave out how each was made, and the end of long digests.
    """
    return [*_branch(tree, tree.root, "", "", set(), files, brief), "", *_circumstances(tree)]


def _branch(tree: Tree, label: str, first: str, rest: str, seen: set[str], files: int, brief: bool) -> Iterator[str]:
    node = tree.nodes[label]
    if label in seen:
        yield f"{first}{label}, see above"
        return
    seen.add(label)
    words = [label, f"data version {node.data_version[:16]}"]
    if node.made:
        words.append(f"made {node.made.replace('T', ' ').removesuffix('+00:00')} UTC")
    yield f"{first}{', '.join(words)}"
    below = "│  " if node.inputs or node.files else "   "
    if not brief and node.record:
        yield f"{rest}{below}{_how(node.record)}"
    for note in node.notes:
        yield f"{rest}{below}note: {note}"
    shown = node.files[:files]
    leaves = [_file(file, brief) for file in shown]
    if more := len(node.files) - len(shown):
        leaves.append(f"{more:,} more files")
    for place, leaf in enumerate(leaves):
        yield f"{rest}{'└─ ' if place == len(leaves) - 1 else '├─ '}{leaf}"
    for place, upstream in enumerate(node.inputs):
        last = place == len(node.inputs) - 1
        yield from _branch(
            tree, upstream, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}", seen, files, brief
        )


def _how(record: Provenance) -> str:
    words = [f"code version {record.code_version}"]
    words += [f"{name} = {value}" for name, value in abbreviated(record.settings).items()]
    if record.seconds is not None:
        words.append(f"{record.seconds:,.2f} s ({record.cpu_seconds:,.2f} CPU s in the driver)")
    if record.run_id:
        words.append(f"run {record.run_id[:8]}")
    return ", ".join(words)


def _file(file: File, brief: bool) -> str:
    digest = f"{file.sha256[:16]}…" if brief else file.sha256
    revision = f", revision {file.revision[:12]}" if file.revision else ""
    return f"{file.source}: {file.path}, {file.bytes:,} bytes, sha256 {digest}{revision}"


def _circumstances(tree: Tree) -> Iterator[str]:
    """Say by which code and libraries all was made; once where it is the same for all."""
    groups: dict[str, list[str]] = {}
    for label, node in tree.nodes.items():
        if node.record:
            groups.setdefault(circumstances(node.record), []).append(label)
    for words, labels in groups.items():
        yield f"{'all' if len(groups) == 1 else _listed(labels)}: {words}"


def circumstances(record: Provenance) -> str:
    """Return the code and the libraries that made something, in words."""
    code = f"opengenome-assets {record.package_version}"
    if record.commit:
        commit, _, changes = record.commit.partition("+")
        code += f" at commit {commit[:12]}{' with changes' if changes else ''}"
    return ", ".join(
        [code, *(f"{name} {version}" for name, version in record.libraries.items() if name != "opengenome-assets")]
    )


def _listed(labels: Sequence[str], most: int = 5) -> str:
    return ", ".join(labels[:most]) + (f" and {len(labels) - most} more" if len(labels) > most else "")


def lineage(home: Home, specs: Specs, name: str, version: int | None = None) -> Tree:
    """Return the tree of what made a table, figure or report.

    Raises
    ------
    UnknownNameError, MissingVersionError, MissingTableError
        As :func:`opengenome_assets.lineage.records.find`.
    """
    return trace(home, specs, find(home, name, version))
