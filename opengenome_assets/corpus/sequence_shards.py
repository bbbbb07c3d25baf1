"""sequence_shards and rejected_records: the corpus as Parquet, and what the parser refused.

Belongs here: which files have to be parsed, and when the result may be published. Does not belong here: parsing
(``corpus/passes/parse.py``).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import dagster as dg
import pyarrow as pa
from pydantic import Field

from opengenome_assets.corpus import GROUP
from opengenome_assets.corpus.passes.parse import (
    REJECTED_SCHEMA,
    SHARDS_SCHEMA,
    Parsed,
    ParseSettings,
    ParseTask,
    parse_file,
)
from opengenome_assets.engine.spark import Spark
from opengenome_assets.framework.making import Making, emitted, table_result
from opengenome_assets.intake.containers import ContainerError, units
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.tables import Tables, describe

CODE_VERSION = "1"
SCHEMAS: Mapping[str, pa.Schema] = {"rejected_records": REJECTED_SCHEMA, "sequence_shards": SHARDS_SCHEMA}


class SequenceShardsConfig(dg.Config):
    """Run config of sequence_shards and rejected_records."""

    min_length: int = Field(default=0, ge=0, description="Leave out sequences shorter than this, in bases.")
    drop_ambiguous: bool = Field(default=False, description="Leave out sequences with other letters than A, C, G, T.")
    first_records: int | None = Field(
        default=None, ge=1, description="Sample mode: read only so many records of each file."
    )
    compression: Literal["zstd", "snappy", "lz4", "gzip"] = Field(
        default="zstd", description="Parquet compression of the shards."
    )
    max_records_per_shard: int = Field(default=100_000, ge=1, description="A shard holds at most so many records.")
    max_bases_per_shard: int = Field(
        default=128 * 2**20,
        ge=1,
        description="A shard holds at most so many bases, one byte each before compression; a longer sequence has a "
        "shard of its own.",
    )
    max_rejected_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Stop, publishing nothing, if more than this share of all records has to be refused.",
    )

    def parse_settings(self) -> ParseSettings:
        """Return what decides the rows; the rest decides only whether they are published."""
        return ParseSettings(**{name: getattr(self, name) for name in ParseSettings.__dataclass_fields__})


@dg.multi_asset(
    group_name=GROUP,
    can_subset=True,
    specs=[
        dg.AssetSpec(
            "rejected_records",
            deps=["raw_fasta"],
            code_version=CODE_VERSION,
            kinds={"deltalake", "spark"},
            metadata={"dagster/column_schema": describe(REJECTED_SCHEMA)},
            description="Records that were refused, each with its file, place, line and the reason. Good records "
            "beside them are kept; too many refused records stop the run.",
        ),
        dg.AssetSpec(
            "sequence_shards",
            deps=["raw_fasta"],
            code_version=CODE_VERSION,
            kinds={"deltalake", "spark", "parquet"},
            metadata={"dagster/column_schema": describe(SHARDS_SCHEMA)},
            description="The corpus as Parquet shards, one row a sequence, in upper case. Each shard belongs to one "
            "FASTA file; only files that are new or changed are parsed.",
        ),
    ],
)
def sequence_shards(
    context: dg.AssetExecutionContext, config: SequenceShardsConfig, tables: Tables, spark: Spark
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Parse the files not parsed before with these settings, and publish all if all is well."""
    making = Making(context, __name__)
    settings = config.parse_settings()
    upstream = tables.input("raw_fasta")
    catalogue = tables.read("raw_fasta", version=upstream.version).to_pylist()
    try:
        tasks = parse_tasks(tables, catalogue, settings)
    except ContainerError as error:
        raise dg.Failure(f"{error}. Then materialise raw_fasta again", allow_retries=False) from error
    sizes = {(file["source"], file["path"]): file["bytes"] for file in catalogue}
    results = find_parsed(tables, tasks)
    new = [place for place, result in enumerate(results) if result is None]
    parsed = spark.map(
        parse_file,
        [tasks[place] for place in new],
        weights=[sum(sizes[tasks[place].source, file.path] for file in tasks[place].files) for place in new],
        label="parsing FASTA",
        unit="bytes",
        log=context.log,
    )
    for place, result in zip(new, parsed, strict=True):
        results[place] = result
    parts = usable_parts(tasks, results)
    tally = add_up(part for part, _ in parts)

    provenance = Provenance(
        name="sequence_shards",
        code_version=CODE_VERSION,
        settings=asdict(settings),
        inputs={"raw_fasta": upstream},
    )
    provenance = provenance.model_copy(update={"corpus": provenance.data_version})
    extra: dict[str, Any] = {
        **{f"left_out_{name}" if name in ("too_short", "ambiguous") else name: n for name, n in tally.items()},
        "rejected_share": tally["rejected"] / max(tally["records"], 1),
        "files": len(tasks),
        "files_reused": len(tasks) - len(new),
        "archive_members": sum(part.facts.get("members", 0) for part, _ in parts),
        "archive_members_left_out": sum(part.facts.get("left_out", 0) for part, _ in parts),
    }
    for part, _ in parts:
        if left_out := part.facts.get("left_out"):
            shown = ", ".join(part.facts["left_out_first"])
            context.log.warning(f"{part.facts['file']}: {left_out:,} members left out, no FASTA ending: {shown}")

    barren = [str(part.facts["file"]) for part, _ in parts if not part.facts["accepted"]]
    if barren:
        extra["files_without_sequences"] = barren[:100]
        context.log.warning(f"{len(barren):,} files give no sequence, see rejected_records: {', '.join(barren[:10])}")

    def publish(name: str, pieces: list[Part]) -> dg.MaterializeResult[Any]:
        made = making.recorded(provenance.model_copy(update={"name": name}))
        commit = tables.commit(name, SCHEMAS[name], pieces, made)
        return table_result(commit, made, making, asset_key=name, **extra)

    # What was refused is published in any case, so that it can be looked at.
    refused = publish("rejected_records", [part for _, part in parts])
    yield emitted(context, tables, "rejected_records", refused)
    if extra["rejected_share"] > config.max_rejected_share:
        raise dg.Failure(
            f"{tally['rejected']:,} of {tally['records']:,} records were refused ({extra['rejected_share']:.1%}), more "
            f"than the {config.max_rejected_share:.1%} that max_rejected_share allows: {most_frequent(tables)}. "
            "The table rejected_records names each of them. Mend or remove those files, or raise max_rejected_share in "
            "the run config of sequence_shards. sequence_shards was left as it was; the parsed files are kept",
            metadata={"rejected_records": dg.MetadataValue.path(tables.uri("rejected_records"))},
            allow_retries=False,
        )
    if not tally["accepted"]:
        raise dg.Failure(
            f"no sequence is left: of {tally['records']:,} records {tally['rejected']:,} were refused, "
            f"{tally['too_short']:,} are shorter than min_length ({settings.min_length:,}) and {tally['ambiguous']:,} "
            "have ambiguous letters. Change the run config of sequence_shards; the table was left as it was",
            allow_retries=False,
        )
    corpus = publish("sequence_shards", [part for part, _ in parts])
    yield emitted(context, tables, "sequence_shards", corpus)


def parse_tasks(tables: Tables, catalogue: Sequence[Mapping[str, Any]], settings: ParseSettings) -> list[ParseTask]:
    """Return the work that the catalogue stands for.

    Raises
    ------
    ContainerError
        If a part of a file is missing.
    """
    by_source: dict[str, dict[str, StoredFile]] = {}
    for row in catalogue:
        file = StoredFile(row["path"], row["uri"], row["sha256"])
        by_source.setdefault(row["source"], {})[file.path] = file
    return [
        parse_task(tables, source, path, tuple(files[part] for part in parts), settings)
        for source, files in by_source.items()
        for path, parts in units(files).items()
    ]


def parse_task(
    tables: Tables, source: str, path: str, files: tuple[StoredFile, ...], settings: ParseSettings
) -> ParseTask:
    """Return the work that a unit stands for, with the key of what it gives."""
    sha256 = [file.sha256 for file in files]
    # The same bytes cut elsewhere are another unit: what is known of them are the parts' checksums.
    content = sha256[0] if files[0].path == path else sha256
    return ParseTask(
        source=source,
        path=path,
        files=files,
        key=digest([CODE_VERSION, source, path, content, asdict(settings)]),
        shards_uri=tables.uri("sequence_shards"),
        rejected_uri=tables.uri("rejected_records"),
        settings=settings,
    )


def find_parsed(tables: Tables, tasks: Iterable[ParseTask]) -> list[Parsed | None]:
    """Return for each task what an earlier run made of the same bytes with the same settings, or None."""
    shards, rejected = (PartIndex(tables.uri(name)) for name in ("sequence_shards", "rejected_records"))
    found = [(shards.find(task.key), rejected.find(task.key)) for task in tasks]
    return [Parsed(*parts) if all(parts) else None for parts in found]


def usable_parts(tasks: Sequence[ParseTask], results: Sequence[Parsed | None]) -> list[tuple[Part, Part]]:
    """Return the parts (shards, rejected records) of every file.

    Raises
    ------
    dagster.Failure
        If any file could not be used; the message names each. The parts of the others are kept for the next run.
    """
    parts, errors = [], []
    for task, result in zip(tasks, results, strict=True):
        if result is None or result.shards is None or result.rejected is None:
            errors.append((result and result.error) or f"{task.path}: not parsed")
        else:
            parts.append((result.shards, result.rejected))
    if errors:
        listed = "\n".join(f"- {error}" for error in errors[:20])
        more = f"\n- and {len(errors) - 20:,} more" if len(errors) > 20 else ""
        raise dg.Failure(
            f"{len(errors):,} of {len(tasks):,} files cannot be used:\n{listed}{more}\n"
            f"Mend or remove them and materialise raw_fasta and sequence_shards again. Nothing was published; the "
            f"{len(parts):,} files parsed are kept and will not be parsed again",
            allow_retries=False,
        )
    return parts


def add_up(parts: Iterable[Part]) -> dict[str, int]:
    """Return the sums over files of the records read, accepted, refused and left out, and of bases."""
    names = ("records", "accepted", "rejected", "too_short", "ambiguous", "bases")
    totals = dict.fromkeys(names, 0)
    for part in parts:
        for name in names:
            totals[name] += part.facts[name]
    return totals


def most_frequent(tables: Tables, top: int = 3) -> str:
    """Say which files most refused records are in, and the first reason in each."""
    rows = tables.read("rejected_records", ["file", "reason"]).to_pylist()
    first = {row["file"]: row["reason"] for row in reversed(rows)}
    counts = Counter(row["file"] for row in rows).most_common(top)
    return "; ".join(f"{file}: {count:,} records, first: {first[file]}" for file, count in counts)
