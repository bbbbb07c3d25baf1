"""Pins: runs whose table versions are exempt from vacuum, whatever their age.

A pin is a small file in the home that names the version of each table, so it outlives Dagster's database. A digest in
it covers the record: a damaged pin is refused, since it would let a vacuum remove what it was to keep. A run with
Dagster's tag ``opengenome/pinned`` is pinned too: it gets its file when pins are read next.

Belongs here: writing, reading and removing pins. Does not belong here: removing versions (``storage/vacuum.py``).
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator

import dagster as dg
import pyarrow.fs as pafs

from opengenome_assets.lineage.runs import UnknownRunError
from opengenome_assets.operations.checkout import Checkout, state_after, whole_id
from opengenome_assets.storage.files import DamagedError, filesystem, read_bytes, write_bytes
from opengenome_assets.storage.record import Provenance, sealed, unsealed
from opengenome_assets.storage.tables import Home

TAG = "opengenome/pinned"
FOLDER = "pins"


def pin(home: Home, instance: dg.DagsterInstance, run: str) -> Checkout:
    """Keep the tables as a run left them, and return their versions.

    Raises
    ------
    UnknownRunError
        As :func:`state_after`.
    MissingVersionError
        If one of the versions has been removed.
    """
    state = state_after(home, instance, run)
    inputs = {name: home.table(name).at(version).input for name, version in state.versions.items()}
    record = Provenance(name="pin", code_version="1", inputs=inputs, run_id=state.run_id)
    write_bytes(_address(home, state.run_id), sealed(record.model_dump(mode="json")))
    _tag(instance, state.run_id, "true")
    return state


def unpin(home: Home, instance: dg.DagsterInstance, run: str) -> str:
    """Remove the pin of a run, and return its id.

    Raises
    ------
    UnknownRunError
        If no run or more than one has this beginning, or the run is not pinned.
    DamagedError
        If a pin is damaged.
    """
    files = [record.run_id for record in _read(home) if record.run_id.startswith(run)]
    run_id = files[0] if len(files) == 1 and run else whole_id(home, instance, run)
    known = instance.get_run_by_id(run_id)
    if not files and not (known and known.tags.get(TAG) == "true"):
        pins = ", ".join(sorted(record.run_id for record in _read(home))) or "none"
        raise UnknownRunError(f"run {run_id} is not pinned. Pinned runs: {pins}")
    fs, path = filesystem(_address(home, run_id))
    with contextlib.suppress(FileNotFoundError):
        fs.delete_file(path)
    _tag(instance, run_id, "false")
    return run_id


def pinned(home: Home, instance: dg.DagsterInstance) -> list[Provenance]:
    """Return a record per pinned run; its inputs are the versions to keep.

    Raises
    ------
    DamagedError
        If a pin is damaged.
    """
    known = {record.run_id for record in _read(home)}
    for run in instance.get_runs(filters=dg.RunsFilter(tags={TAG: "true"})):
        if run.run_id not in known:
            with contextlib.suppress(LookupError):  # the run goes on, did nothing, or its versions are gone
                pin(home, instance, run.run_id)
    return list(_read(home))


def _read(home: Home) -> Iterator[Provenance]:
    fs, root = filesystem(f"{home.uri}/{FOLDER}")
    for info in fs.get_file_info(pafs.FileSelector(root, allow_not_found=True)):
        if info.path.endswith(".json"):
            yield _record(f"{home.uri}/{FOLDER}/{info.base_name}")


def _record(uri: str) -> Provenance:
    try:
        record = Provenance.model_validate(unsealed(read_bytes(uri) or b""))
        if posixpath.basename(uri) != f"{record.run_id}.json":
            raise ValueError(f"it is the pin of run {record.run_id}")
    except ValueError as error:
        run = posixpath.basename(uri).removesuffix(".json")
        raise DamagedError(
            f"{uri} is damaged: expected the pin of run {run}, found other content. Delete it, and pin the run "
            f"again: opengenome pin {run}. Until then nothing is removed"
        ) from error
    return record


def _address(home: Home, run_id: str) -> str:
    return f"{home.uri}/{FOLDER}/{run_id}.json"


def _tag(instance: dg.DagsterInstance, run_id: str, value: str) -> None:
    if instance.has_run(run_id):
        instance.add_run_tags(run_id, {TAG: value})
