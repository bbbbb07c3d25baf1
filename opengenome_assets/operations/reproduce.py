"""Reproduce: making a version of a table again from its provenance record, and comparing the two.

The asset of the table runs in a scratch home, with the recorded inputs and settings. Inputs are linked, or copied from
an object store; the home itself is only read. A catalogue is made again by hashing its files.

Belongs here: preparing the scratch home and making the table. Does not belong here: comparing
(``lineage/comparison.py``).
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.fs as pafs

from opengenome_assets.engine import Engine
from opengenome_assets.framework.catalogues import catalogue_record
from opengenome_assets.framework.table import Role, Specs, TableSpec
from opengenome_assets.intake.hub.store import Store
from opengenome_assets.lineage.changes import Change, circumstances, code, settings
from opengenome_assets.lineage.comparison import Comparison, compare_rows
from opengenome_assets.lineage.failures import newest_run
from opengenome_assets.settings import local_home
from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.parts import MANIFEST
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home

Build = Callable[[Provenance, str], dg.Definitions]


class NotReproducibleError(RuntimeError):
    """A table could not be made again; the message gives the reason."""


@dataclass(frozen=True)
class Reproduction:
    """A version of a table, made again.

    Attributes
    ----------
    name, version
        The table, and the version that first held the rows.
    comparison
        The comparison of the two tables.
    changes
        Differences between the two records, which are likely causes of other rows.
    seconds
        Duration.
    """

    name: str
    version: int
    comparison: Comparison
    changes: list[Change]
    seconds: float


def reproduce(
    home: Home, specs: Specs, build: Build, name: str, version: int | None, scratch: str, engine: Engine
) -> Reproduction:
    """Make a version of a table again and compare the two.

    Parameters
    ----------
    home
        The home, which is only read.
    specs
        The declarations of tables.
    build
        From a record and a home to the definitions with the recorded settings.
    name, version
        The table and its version; the newest if None.
    scratch
        An empty local folder that the engine's workers can reach.
    engine
        The engine.

    Raises
    ------
    MissingTableError, MissingVersionError
        If the version does not exist, or it or one of its inputs cannot be read any more.
    NotReproducibleError
        If it cannot be made again.
    """
    started = time.monotonic()
    snapshot = home.table(name).at(version)
    recorded, again = snapshot.provenance, Home(scratch)
    if specs.role(name) is Role.CATALOGUE:
        hash_again(home, specs.find(name), snapshot.version, again)
    else:
        link_inputs(home, specs, recorded, again, set())
        make_again(recorded, specs.get(name), build(recorded, scratch), again, engine)
    result = again.table(name).at()
    return Reproduction(
        name,
        snapshot.version,
        compare_rows(snapshot, result),
        list(changes(recorded, result.provenance)),
        round(time.monotonic() - started, 2),
    )


def changes(recorded: Provenance, made: Provenance) -> Iterator[Change]:
    """Yield the differences between two records; inputs differ by data version, not by version number."""
    yield from code(recorded, made)
    yield from settings(recorded, made)
    yield from circumstances(recorded, made)
    for name, given in recorded.inputs.items():
        again = made.inputs.get(name)
        if again is None or again.data_version != given.data_version:
            yield Change(made.name, f"input {name}", given.data_version, again.data_version if again else None)


def link_inputs(home: Home, specs: Specs, recorded: Provenance, again: Home, done: set[str]) -> None:
    """Give a scratch home the inputs of a record, and theirs, in their recorded versions."""
    for name, given in recorded.inputs.items():
        if name not in done:
            done.add(name)
            record = home.table(name).provenance(given.version)
            if specs.role(name) is Role.CATALOGUE:
                rows = home.table(name).at(given.version).read()
                again.table(name).write(with_addresses(rows, located(rows, home.uri)), record)
            else:
                link(home, name, given.version, record, again)
            link_inputs(home, specs, record, again, done)


def link(home: Home, name: str, version: int, record: Provenance, again: Home) -> None:
    """Give a scratch home a version of a table, as links to its files."""
    snapshot, target = home.table(name).at(version), again.table(name)
    fs, root = filesystem(snapshot.uri)
    folders = {posixpath.dirname(file.path) for file in snapshot.files}
    for path in [*(file.path for file in snapshot.files), *(f"{folder}/{MANIFEST}" for folder in sorted(folders))]:
        place = Path(target.uri, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(fs, pafs.LocalFileSystem):
            place.symlink_to(Path(root, path))
        else:
            pafs.copy_files(f"{root}/{path}", str(place), fs, pafs.LocalFileSystem())
    target.adopt(snapshot, record)


def make_again(
    recorded: Provenance, spec: TableSpec | None, definitions: dg.Definitions, again: Home, engine: Engine
) -> None:
    """Materialise a table in a scratch home that has its inputs, with the recorded settings.

    Raises
    ------
    NotReproducibleError
        If no asset makes it, or its materialisation fails.
    """
    assets = [each for each in definitions.assets or [] if isinstance(each, dg.AssetsDefinition)]
    key = dg.AssetKey(recorded.name)
    steps = [each for each in assets if key in each.keys]
    if spec is None or not steps:
        raise NotReproducibleError(
            f"{recorded.name}: no asset of this package makes it. It was made by code version {recorded.code_version} "
            f"of opengenome-assets {recorded.package_version}: install that one to make it again"
        )
    given = {**spec.lenient, **recorded.settings}
    config = {name: value for name, value in given.items() if name in _config_fields(steps[0])}
    run_config = {
        "ops": {steps[0].op.name: {"config": config}} if config else {},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    with dg.DagsterInstance.ephemeral() as instance:
        try:
            result = dg.materialize(
                assets,
                selection=[key],
                # As it is: Dagster would start it and stop it for this table alone.
                resources={"home": again, "engine": dg.ResourceDefinition.hardcoded_resource(engine)},
                run_config=run_config,
                instance=instance,
                raise_on_error=False,
            )
        except dg.DagsterInvalidConfigError as error:  # a record has digests of query files, not their paths
            raise NotReproducibleError(
                f"{recorded.name}: its record lacks a setting that a run needs: {error.errors[0].message}"
            ) from error
        if not result.success:
            run = newest_run(instance)
            reasons = "\n".join(failure.reason for failure in run.failures) if run else ""
            raise NotReproducibleError(f"{recorded.name} could not be made again: {reasons}")


def _config_fields(step: dg.AssetsDefinition) -> Iterable[str]:
    fields: dict[str, Any] = getattr(step.op.config_schema.config_type, "fields", {})
    return fields.keys()


def hash_again(home: Home, spec: TableSpec, version: int, again: Home) -> None:
    """Make a catalogue again by hashing its files.

    Raises
    ------
    NotReproducibleError
        If files are gone; the message names them.
    """
    snapshot = home.table(spec).at(version)
    rows = snapshot.read()
    addresses = located(rows, home.uri)
    gone = [uri for uri in addresses if not Path(uri).is_file()]
    if gone:
        listed = "\n".join(f"- {uri}" for uri in gone[:20])
        raise NotReproducibleError(
            f"{len(gone):,} of {rows.num_rows:,} files of {spec.name} version {version} are gone:\n{listed}\nPut them "
            f"back where they were; those of the Hub are fetched again by materialising {spec.name}"
        )
    hashed: dict[str, list[Any]] = {"bytes": [], "sha256": []}
    for uri in addresses:
        with open(uri, "rb") as stream:
            hashed["sha256"].append(file_digest(stream, "sha256").hexdigest())
            hashed["bytes"].append(stream.tell())
    for name, values in hashed.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))
    content = catalogue_record(spec, rows).settings
    again.table(spec).write(rows, snapshot.provenance.model_copy(update={"settings": content}))


def located(rows: pa.Table, home: str) -> list[str]:
    """Return the addresses of a catalogue's files: as recorded, or in the store if they are gone from there."""
    store = Store(local_home(home) / "raw")
    return [
        uri if Path(uri).is_file() else str(store.address(sha256) if store.address(sha256).is_file() else uri)
        for uri, sha256 in zip(rows["uri"].to_pylist(), rows["sha256"].to_pylist(), strict=True)
    ]


def with_addresses(rows: pa.Table, addresses: list[str]) -> pa.Table:
    """Return a catalogue with other addresses of its files."""
    place = rows.schema.get_field_index("uri")
    return rows.set_column(place, rows.schema.field(place), pa.array(addresses, pa.string()))
