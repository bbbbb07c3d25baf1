"""Tree: the data lineage of a table, figure or report, upstream to the source files.

Belongs here: following provenance records upstream, and writing the tree as text. Does not belong here: finding one
record (``records.py``). It needs no Dagster instance, since the records lie beside the rows and pictures.
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
    """A row of the catalogue; ``revision`` is the commit of a file from the Hub."""

    source: str
    path: str
    bytes: int
    sha256: str
    uri: str
    revision: str


@dataclass(frozen=True)
class Node:
    """A table, figure or report in the tree.

    Attributes
    ----------
    name, kind, version
        Its name, its kind, and its version if it is a table.
    made
        Time in ISO 8601; None if its record has none.
    data_version
        Digest of all that determines its content.
    inputs
        Labels of the nodes it was made from.
    files
        The source files of a catalogue, else empty.
    notes
        Warnings, such as code that changed since.
    record
        The provenance record; None if it was not found.
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
    """A node and everything upstream of it: each node once, by name and version, the root first."""

    root: str
    nodes: dict[str, Node]


def trace(home: Home, specs: Specs, record: Record) -> Tree:
    """Follow a record upstream to the files.

    An input whose record is gone, or describes other rows than those read, becomes a node with a note.
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
    provenance, notes, files = record.provenance, [], []
    comparable = environment.is_comparable(provenance.package_version)
    if comparable and (changed := environment.changed_modules(provenance.modules)):
        notes.append(
            f"since then the code has changed in {', '.join(changed)}; code version then: {provenance.code_version}"
        )
    history = records.history(record.name)
    if history and (others := _other_code(history, record)):
        notes.append(
            f"version {', '.join(map(str, others))} was made with the same code version by other code, and its parts "
            "may have been used again"
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
        provenance.data_version,
        inputs,
        files,
        notes,
        provenance,
    )


def _other_code(history: History, record: Record) -> list[int]:
    """Return the earlier versions of a table with the same code version, made by other code."""
    now = record.provenance
    earlier = [
        (number, before)
        for number, version in history.versions.items()
        if version.record and number < (record.version or 0) and (before := history.provenance(number))
    ]
    return [
        number
        for number, before in earlier
        if before.code_version == now.code_version
        and before.modules != now.modules
        and all(each.modules and environment.is_comparable(each.package_version) for each in (before, now))
    ]


def draw(tree: Tree, *, files: int = FILES_SHOWN, brief: bool = False) -> list[str]:
    """Return a tree as lines of text; a node that occurs again refers to its first place.

    Parameters
    ----------
    tree
        The tree.
    files
        Maximum number of source files that are named.
    brief
        Leave out settings, times and runs, and the end of long digests.
    """
    return [*_branch(tree, tree.root, "", "", set(), files, brief), "", *_environments(tree)]


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


def _environments(tree: Tree) -> Iterator[str]:
    """Yield the code and libraries of all nodes; equal ones once."""
    groups: dict[str, list[str]] = {}
    for label, node in tree.nodes.items():
        if node.record:
            groups.setdefault(_environment(node.record), []).append(label)
    for words, labels in groups.items():
        yield f"{'all' if len(groups) == 1 else _listed(labels)}: {words}"


def _environment(record: Provenance) -> str:
    """Return the code and the libraries of a record, in words."""
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
    """Return the lineage tree of a table, figure or report.

    Raises
    ------
    UnknownNameError, MissingVersionError, MissingTableError
        As :func:`opengenome_assets.lineage.records.find`.
    """
    return trace(home, specs, find(home, name, version))
