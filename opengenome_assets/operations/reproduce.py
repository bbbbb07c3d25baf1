"""Reproduce: making a version of a table again from what its record says, and comparing.

It is made in a scratch home, from the recorded versions of its inputs and with the recorded settings, by the asset that
makes it. Inputs are linked, or copied from an object store; the home itself is only read. A catalogue of files is made
again by hashing the files it names.

Belongs here: setting the scratch home up and making the table. Does not belong here: comparing
(``lineage/comparison.py``).
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.fs as pafs

from opengenome_assets.corpus.raw_fasta import catalogue_record
from opengenome_assets.definitions import build_defs
from opengenome_assets.engine.spark import Spark
from opengenome_assets.intake.hub.store import Store
from opengenome_assets.lineage.comparison import Change, Comparison, changes, compare
from opengenome_assets.lineage.failures import newest_run
from opengenome_assets.settings import Settings, local_home
from opengenome_assets.storage import commits
from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.history import RECORD_KEY
from opengenome_assets.storage.parts import MANIFEST
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.seals import sealed
from opengenome_assets.storage.tables import Tables

CATALOGUE = "raw_fasta"
# What decides only whether rows are published, and not which.
LENIENT = {"max_rejected_share": 1.0}


class NotReproducibleError(RuntimeError):
    """A table could not be made again; the message says what is missing or failed."""


@dataclass(frozen=True)
class Reproduction:
    """A version of a table, made again.

    Attributes
    ----------
    name, version
        The table, and the version that first held the rows.
    comparison
        What was found.
    changes
        What the two records do not agree on: where to look for the cause of a difference.
    seconds
        Time it took.
    """

    name: str
    version: int
    comparison: Comparison
    changes: list[Change]
    seconds: float


def reproduce(tables: Tables, name: str, version: int | None, scratch: str, spark: Spark) -> Reproduction:
    """Make a version of a table again and compare.

    Parameters
    ----------
    tables
        The tables; only read.
    name, version
        The table, and the version; the newest if None.
    scratch
        An empty local folder for it, which Spark's workers see.
    spark
        The engine.

    Raises
    ------
    MissingTableError, MissingVersionError
        If there is no such version, or it or one of its inputs cannot be read any more.
    NotReproducibleError
        If it cannot be made again.
    """
    started = time.monotonic()
    origin = tables.history(name).origin(tables.history(name).newest if version is None else version).number
    recorded = tables.provenance(name, origin)
    again = Tables(home=scratch)
    if name == CATALOGUE:
        hash_again(tables, origin, again)
    else:
        link_inputs(tables, recorded, again, set())
        make_again(recorded, again, spark)
    return Reproduction(
        name,
        origin,
        compare(tables, name, origin, again),
        changes(recorded, again.provenance(name)),
        round(time.monotonic() - started, 2),
    )


def link_inputs(tables: Tables, recorded: Provenance, again: Tables, done: set[str]) -> None:
    """Give a scratch home the inputs that a record names, and theirs, in their recorded versions."""
    for name, given in recorded.inputs.items():
        if name not in done:
            done.add(name)
            record = tables.provenance(name, given.version)
            if name == CATALOGUE:
                rows = tables.read(name, version=given.version)
                again.write(name, with_addresses(rows, located(rows, tables.home)), record)
            else:
                link(tables, name, given.version, record, again)
            link_inputs(tables, record, again, done)


def link(tables: Tables, name: str, version: int, record: Provenance, again: Tables) -> None:
    """Give a scratch home a version of a table, made of links to its files."""
    table = tables.open(name, version)
    files = tables.files(table)
    fs, root = filesystem(tables.uri(name))
    folders = {posixpath.dirname(file.path) for file in files}
    for path in [*(file.path for file in files), *(f"{folder}/{MANIFEST}" for folder in sorted(folders))]:
        target = Path(again.uri(name), path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(fs, pafs.LocalFileSystem):
            target.symlink_to(Path(root, path))
        else:
            pafs.copy_files(f"{root}/{path}", str(target), fs, pafs.LocalFileSystem())
    said = {RECORD_KEY: record.model_dump_json()}
    commits.create(again.uri(name), pa.schema(table.schema()), files, sealed(said, files))


def make_again(recorded: Provenance, again: Tables, spark: Spark) -> None:
    """Materialise a table in a scratch home that has its inputs, with its recorded settings.

    Raises
    ------
    NotReproducibleError
        If no asset makes it, or that fails.
    """
    made = recorded.settings
    settings = Settings(home=again.home, spark_master=spark.master)
    if ks := made.get("ks") or ([made["k"]] if "k" in made else None):
        settings = replace(settings, ks=tuple(ks))
    assets = [each for each in build_defs(settings).assets or [] if isinstance(each, dg.AssetsDefinition)]
    key = dg.AssetKey(recorded.name)
    steps = [each for each in assets if key in each.keys]
    if not steps:
        raise NotReproducibleError(
            f"{recorded.name}: no asset of this package makes it. It was made by code version {recorded.code_version} "
            f"of opengenome-assets {recorded.package_version}: install that one to make it again"
        )
    config = {name: value for name, value in {**LENIENT, **made}.items() if name in _config_fields(steps[0])}
    run_config = {
        "ops": {steps[0].op.name: {"config": config}} if config else {},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    resources = {"tables": again, "spark": spark}
    with dg.DagsterInstance.ephemeral() as instance:
        try:
            result = dg.materialize(
                assets,
                selection=[key],
                resources=resources,
                run_config=run_config,
                instance=instance,
                raise_on_error=False,
            )
        except dg.DagsterInvalidConfigError as error:  # of inputs that are no table it knows the digest, not the place
            raise NotReproducibleError(
                f"{recorded.name}: its record does not hold all that a run has to be given: {error.errors[0].message}"
            ) from error
        if not result.success:
            run = newest_run(instance)
            reasons = "\n".join(failure.reason for failure in run.failures) if run else ""
            raise NotReproducibleError(f"{recorded.name} could not be made again: {reasons}")


def _config_fields(step: dg.AssetsDefinition) -> Iterable[str]:
    fields: dict[str, Any] = getattr(step.op.config_schema.config_type, "fields", {})
    return fields.keys()


def hash_again(tables: Tables, version: int, again: Tables) -> None:
    """Make a catalogue again by hashing the files that it names.

    Raises
    ------
    NotReproducibleError
        If files are gone; the message names them.
    """
    rows = tables.read(CATALOGUE, version=version)
    addresses = located(rows, tables.home)
    gone = [uri for uri in addresses if not Path(uri).is_file()]
    if gone:
        listed = "\n".join(f"- {uri}" for uri in gone[:20])
        raise NotReproducibleError(
            f"{len(gone):,} of {rows.num_rows:,} files of {CATALOGUE} version {version} are gone:\n{listed}\nPut them "
            "back where they were; those of the Hub are fetched again by materialising raw_fasta"
        )
    hashed: dict[str, list[Any]] = {"bytes": [], "sha256": []}
    for uri in addresses:
        with open(uri, "rb") as stream:
            hashed["sha256"].append(file_digest(stream, "sha256").hexdigest())
            hashed["bytes"].append(stream.tell())
    for name, values in hashed.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))
    recorded = tables.provenance(CATALOGUE, version)
    again.write(CATALOGUE, rows, recorded.model_copy(update={"settings": catalogue_record(rows).settings}))


def located(rows: pa.Table, home: str) -> list[str]:
    """Return where the files of a catalogue lie: where it says, or in the store if they are no longer there."""
    store = Store(local_home(home) / "raw")
    return [
        uri if Path(uri).is_file() else str(store.address(sha256) if store.address(sha256).is_file() else uri)
        for uri, sha256 in zip(rows["uri"].to_pylist(), rows["sha256"].to_pylist(), strict=True)
    ]


def with_addresses(rows: pa.Table, addresses: list[str]) -> pa.Table:
    """Return a catalogue that says its files lie there."""
    place = rows.schema.get_field_index("uri")
    return rows.set_column(place, rows.schema.field(place), pa.array(addresses, pa.string()))
