"""sequence_shards and rejected_records: the corpus as Parquet, and the records that the parser refused.

Belongs here: which units must be parsed, whether the result may be published, publishing it, and the rules of the two
tables. Does not belong here: parsing (``passes/parse.py``).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from opengenome_assets.corpus.passes.parse import Parsed, ParseSettings, ParseTask, parse_file
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import RAW_FASTA, REJECTED_RECORDS, SEQUENCE_SHARDS, UNUSABLE
from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import SHOWN, rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.intake.containers import ContainerError, units
from opengenome_assets.intake.kinds import COMPRESSION_ENDINGS, FASTA
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part, write_part
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

TALLIED = ("records", "accepted", "rejected", "too_short", "ambiguous", "bases")
NAMED = 20
UNUSABLE_KIND = "the file cannot be used"


class SequenceShardsConfig(dg.Config):
    """Run config of sequence_shards and rejected_records."""

    min_length: int = Field(default=0, ge=0, description="Leave out sequences shorter than this, in bases.")
    drop_ambiguous: bool = Field(default=False, description="Leave out sequences with other letters than A, C, G, T.")
    first_records: int | None = Field(
        default=None, ge=1, description="Sample mode: read only the first records of each file, up to this number."
    )
    compression: Literal["zstd", "snappy", "lz4", "gzip"] = Field(
        default="zstd", description="Parquet compression of the shards."
    )
    max_records_per_shard: int = Field(default=100_000, ge=1, description="Maximum number of records in a shard.")
    max_bases_per_shard: int = Field(
        default=128 * 2**20,
        ge=1,
        description="Maximum number of bases in a shard, one byte each before compression; a longer sequence has a "
        "shard of its own.",
    )
    max_rejected_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Stop, publishing nothing, if more than this share of all records is refused.",
    )
    max_unusable_share: float | None = Field(
        default=None,
        description="Leave out files that cannot be used, such as a truncated one, if they are at most this share of "
        "all files; else stop, publishing nothing. 0 is strict. Default: OPENGENOME_MAX_UNUSABLE_SHARE.",
    )

    def parse_settings(self) -> ParseSettings:
        """Return the settings that decide the rows; the rest decides only whether they are published."""
        return ParseSettings(**{name: getattr(self, name) for name in ParseSettings.__dataclass_fields__})


def shards_asset(max_unusable_share: float) -> dg.AssetsDefinition:
    """Return the asset that makes both tables, with the default of ``max_unusable_share``."""

    @dg.multi_asset(
        pool=HOME_POOL,
        name=SEQUENCE_SHARDS.name,
        can_subset=True,
        specs=[asset_spec(REJECTED_RECORDS, [RAW_FASTA]), asset_spec(SEQUENCE_SHARDS, [RAW_FASTA])],
    )
    def sequence_shards(
        context: dg.AssetExecutionContext,
        config: SequenceShardsConfig,
        home: dg.ResourceParam[Home],
        engine: dg.ResourceParam[Engine],
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        share = max_unusable_share if config.max_unusable_share is None else config.max_unusable_share
        yield from make_shards(context, config, share, home, engine)

    return sequence_shards


def make_shards(
    context: dg.AssetExecutionContext,
    config: SequenceShardsConfig,
    max_unusable_share: float,
    home: Home,
    engine: Engine,
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Parse the units not parsed before with these settings; publish the tables if all checks pass."""
    making = Making(context, __name__)
    settings = config.parse_settings()
    raw_fasta = home.table(RAW_FASTA).at()
    catalogue = raw_fasta.read().to_pylist()
    try:
        tasks = parse_tasks(home, catalogue, settings)
    except ContainerError as error:
        raise dg.Failure(f"{error}. Then materialise raw_fasta again", allow_retries=False) from error
    sizes = {(file["source"], file["path"]): file["bytes"] for file in catalogue}
    results, parsed = parse(context, engine, home, tasks, sizes)
    parts, unusable = usable_parts(tasks, results, max_unusable_share)
    tally = add_up(part for part, _ in parts)
    provenance = Provenance(
        name=SEQUENCE_SHARDS.name,
        code_version=SEQUENCE_SHARDS.code_version,
        # Which files cannot be used may change without a change of the catalogue, as when a disk fails.
        settings={
            **asdict(settings),
            **({UNUSABLE: unusable, "max_unusable_share": max_unusable_share} if unusable else {}),
        },
        inputs={RAW_FASTA.name: raw_fasta.input},
    )
    provenance = provenance.model_copy(update={"corpus": provenance.data_version})
    extra = parsing_facts(context, [part for part, _ in parts], tally, parsed)
    refused = [part for _, part in parts]
    if unusable:
        extra[UNUSABLE] = [row["reason"] for row in unusable[:NAMED]]
        for row in unusable:
            context.log.warning(f"left out: {row['reason']}")
        refused.append(unusable_part(home, unusable))

    def publish(spec: TableSpec, pieces: list[Part]) -> dg.MaterializeResult[Any]:
        own = {"name": spec.name, "code_version": spec.code_version}
        record = making.recorded(provenance.model_copy(update=own))
        commit = home.table(spec).commit(spec.schema, pieces, record)
        return making.result(spec, commit, record, extra)

    # Refused records are published in any case, so that people can look at them.
    yield emitted(context, home, publish(REJECTED_RECORDS, refused))
    refuse_unusable(home, tally, settings, config.max_rejected_share)
    yield emitted(context, home, publish(SEQUENCE_SHARDS, [part for part, _ in parts]))


def parse_tasks(home: Home, catalogue: Sequence[Mapping[str, Any]], settings: ParseSettings) -> list[ParseTask]:
    """Return one task per unit of the catalogue.

    Raises
    ------
    ContainerError
        If a part of a file is missing, or two files have the same source and path.
    """
    by_source: dict[str, dict[str, StoredFile]] = {}
    for row in catalogue:
        file, others = StoredFile(row["path"], row["uri"], row["sha256"]), by_source.setdefault(row["source"], {})
        if file.path in others:
            raise ContainerError(
                f"{others[file.path].uri} and {file.uri} are both the file {file.path} of the source {row['source']}: "
                "rename one of them"
            )
        others[file.path] = file
    return [
        parse_task(home, source, path, tuple(files[part] for part in parts), settings)
        for source, files in by_source.items()
        for path, parts in units(files, FASTA).items()
    ]


def parse_task(home: Home, source: str, path: str, files: tuple[StoredFile, ...], settings: ParseSettings) -> ParseTask:
    """Return the task of a unit, with the keys of its parts."""
    sha256 = [file.sha256 for file in files]
    # The same bytes cut elsewhere are another unit: only the checksums of the parts are known.
    content = sha256[0] if files[0].path == path else sha256

    def key(spec: TableSpec) -> str:
        return digest([spec.code_version, source, path, content, asdict(settings)])

    return ParseTask(
        source=source,
        path=path,
        files=files,
        shards_key=key(SEQUENCE_SHARDS),
        rejected_key=key(REJECTED_RECORDS),
        shards_uri=home.table(SEQUENCE_SHARDS).uri,
        rejected_uri=home.table(REJECTED_RECORDS).uri,
        settings=settings,
    )


def parse(
    context: dg.AssetExecutionContext,
    engine: Engine,
    home: Home,
    tasks: Sequence[ParseTask],
    sizes: Mapping[tuple[str, str], int],
) -> tuple[list[Parsed | None], int]:
    """Return the result of each task, and how many units were parsed; the parts of the others existed."""
    results = find_parsed(home, tasks)
    new = [place for place, result in enumerate(results) if result is None]
    parsed = engine.map(
        parse_file,
        [tasks[place] for place in new],
        weights=[sum(sizes[tasks[place].source, file.path] for file in tasks[place].files) for place in new],
        label="parsing FASTA",
        unit="bytes",
        log=context.log,
    )
    for place, result in zip(new, parsed, strict=True):
        results[place] = result
    return results, len(new)


def find_parsed(home: Home, tasks: Iterable[ParseTask]) -> list[Parsed | None]:
    """Return for each task the result of an earlier run on the same bytes with the same settings, or None."""
    tasks = list(tasks)
    shards = home.table(SEQUENCE_SHARDS).parts().find_all(task.shards_key for task in tasks)
    rejected = home.table(REJECTED_RECORDS).parts().find_all(task.rejected_key for task in tasks)
    return [_find_parsed(shards, rejected, task) for task in tasks]


def _find_parsed(shards: Mapping[str, Part], rejected: Mapping[str, Part], task: ParseTask) -> Parsed | None:
    part = shards.get(task.shards_key)
    if part is None:
        return None
    refused = rejected.get(task.rejected_key)
    if refused is None and part.facts["rejected"] == 0:  # a unit without refused records misses no row
        empty = REJECTED_RECORDS.schema.empty_table()
        refused = write_part(task.rejected_uri, task.rejected_key, empty, **_facts_of(part))
    return Parsed(part, refused) if refused else None


def _facts_of(part: Part) -> dict[str, Any]:
    return {name: fact for name, fact in part.facts.items() if name != "shard_bases"}


def usable_parts(
    tasks: Sequence[ParseTask], results: Sequence[Parsed | None], max_unusable_share: float
) -> tuple[list[tuple[Part, Part]], list[dict[str, str]]]:
    """Return the parts (shards, rejected records) of every unit that can be used, and the others with the reason.

    Raises
    ------
    dagster.Failure
        If more than a share of the files cannot be used; the message names each. The parts of the others are kept for
        the next run.
    """
    parts, unusable = [], []
    for task, result in zip(tasks, results, strict=True):
        if result is None or result.shards is None or result.rejected is None:
            reason = (result and result.error) or f"{task.path}: not parsed"
            unusable.append({"source": task.source, "file": task.path, "reason": reason})
        else:
            parts.append((result.shards, result.rejected))
    if len(unusable) > max_unusable_share * len(tasks):
        listed = "\n".join(f"- {row['reason']}" for row in unusable[:NAMED])
        more = f"\n- and {len(unusable) - NAMED:,} more" if len(unusable) > NAMED else ""
        raise dg.Failure(
            f"{len(unusable):,} of {len(tasks):,} files cannot be used, more than the {max_unusable_share:.0%} that "
            f"max_unusable_share allows:\n{listed}{more}\n"
            "Mend or remove them and materialise raw_fasta and sequence_shards again. Nothing was published; the "
            f"{len(parts):,} files parsed are kept and will not be parsed again",
            allow_retries=False,
        )
    return parts, unusable


def unusable_part(home: Home, unusable: Sequence[Mapping[str, str]]) -> Part:
    """Write the rows of rejected_records that name the files that are left out, each as the record 0 of its file."""
    rows = [{**row, "record": 0, "line": 0, "header": "", "kind": UNUSABLE_KIND} for row in unusable]
    table = pa.Table.from_pylist(rows, schema=REJECTED_RECORDS.schema)
    return write_part(home.table(REJECTED_RECORDS).uri, digest([REJECTED_RECORDS.code_version, UNUSABLE, rows]), table)


def add_up(parts: Iterable[Part]) -> dict[str, int]:
    """Return the sums over units of the records read, accepted, refused and left out, and of bases."""
    totals = dict.fromkeys(TALLIED, 0)
    for part in parts:
        for name in TALLIED:
            totals[name] += part.facts[name]
    return totals


def parsing_facts(
    context: dg.AssetExecutionContext, parts: Sequence[Part], tally: Mapping[str, int], parsed: int
) -> dict[str, Any]:
    """Return the facts of the parsing for the UI, and warn of files that gave less than expected."""
    extra: dict[str, Any] = {
        **{f"left_out_{name}" if name in ("too_short", "ambiguous") else name: n for name, n in tally.items()},
        "rejected_share": rejected_share(tally),
        "files": len(parts),
        "files_reused": len(parts) - parsed,
        "archive_members": sum(part.facts.get("members", 0) for part in parts),
        "archive_members_left_out": sum(part.facts.get("left_out", 0) for part in parts),
    }
    for part in parts:
        if left_out := part.facts.get("left_out"):
            shown = ", ".join(part.facts["left_out_first"])
            context.log.warning(f"{part.facts['file']}: {left_out:,} members left out, no FASTA ending: {shown}")
    barren = [str(part.facts["file"]) for part in parts if not part.facts["accepted"]]
    if barren:
        extra["files_without_sequences"] = barren[:100]
        context.log.warning(f"{len(barren):,} files give no sequence, see rejected_records: {', '.join(barren[:10])}")
    return extra


def rejected_share(tally: Mapping[str, int]) -> float:
    """Return refused records divided by all, in [0, 1]."""
    return tally["rejected"] / max(tally["records"], 1)


def refuse_unusable(home: Home, tally: Mapping[str, int], settings: ParseSettings, max_rejected_share: float) -> None:
    """Refuse to publish a corpus with too many refused records or without any sequence.

    Raises
    ------
    dagster.Failure
        The message says how many, where and why.
    """
    if (share := rejected_share(tally)) > max_rejected_share:
        raise dg.Failure(
            f"{tally['rejected']:,} of {tally['records']:,} records were refused ({share:.1%}), more than the "
            f"{max_rejected_share:.1%} that max_rejected_share allows: {most_refused(home)}. The table "
            "rejected_records names each of them. Mend or remove those files, or raise max_rejected_share in the run "
            "config of sequence_shards. sequence_shards was left as it was; the parsed files are kept",
            metadata={"rejected_records": dg.MetadataValue.path(home.table(REJECTED_RECORDS).uri)},
            allow_retries=False,
        )
    if not tally["accepted"]:
        raise dg.Failure(
            f"no sequence is left: of {tally['records']:,} records {tally['rejected']:,} were refused, "
            f"{tally['too_short']:,} are shorter than min_length ({settings.min_length:,}) and {tally['ambiguous']:,} "
            "have ambiguous letters. Change the run config of sequence_shards; the table was left as it was",
            allow_retries=False,
        )


def most_refused(home: Home, top: int = 3) -> str:
    """Name the files with the most refused records, and the first reason in each."""
    rows = home.table(REJECTED_RECORDS).read(["file", "reason"]).to_pylist()
    first = {row["file"]: row["reason"] for row in reversed(rows)}
    counts = Counter(row["file"] for row in rows).most_common(top)
    return "; ".join(f"{file}: {count:,} records, first: {first[file]}" for file, count in counts)


@rule(
    SEQUENCE_SHARDS,
    "Every header line of every file, counted without the parser, is a row, a refused record or left out by a setting; "
    "and the table has the accepted rows",
)
def record_count(home: Home) -> Iterator[str]:
    """Compare the parser's count of each file with the stream's count of header lines, and with the table."""
    shards = home.table(SEQUENCE_SHARDS).at()
    parts = PartIndex(shards.uri).find_all(shards.parts)
    for key, files in shards.parts.items():
        part, count = parts.get(key), sum(file.rows for file in files)
        if part is None:
            yield f"{shards.uri}/{key}: files of the table are missing or were cut; materialise sequence_shards again"
            continue
        facts = part.facts
        accounted = sum(facts[name] for name in ("accepted", "rejected", "too_short", "ambiguous"))
        if facts["header_lines"] not in (None, facts["records"]):  # None: only the first records were read
            yield f"{facts['file']}: {facts['header_lines']:,} header lines, but {facts['records']:,} records parsed"
        if accounted != facts["records"]:
            yield f"{facts['file']}: {facts['records']:,} records, but {accounted:,} accounted for"
        if count != facts["accepted"]:
            yield f"{facts['file']}: {facts['accepted']:,} records accepted, but {count:,} rows in the table"


@rule(
    SEQUENCE_SHARDS,
    "Every file that raw_fasta lists was parsed, once, or is named as one that cannot be used: by source, path and "
    "checksum, as the parts of the table name the bytes that were read",
)
def every_file(home: Home) -> Iterator[str]:
    """Compare the files of the catalogue with those that the table's parts say that they were read from.

    The plan of the parsing has no part in it: a file that it forgot is found.
    """
    shards = home.table(SEQUENCE_SHARDS).at()
    catalogue = home.table(RAW_FASTA).at(shards.provenance.inputs[RAW_FASTA.name].version).read().to_pylist()
    index = PartIndex(shards.uri)
    parsed: Counter[tuple[str, str, str]] = Counter()  # source, path of the unit, SHA-256 of a stored file
    for part in index.find_all(shards.parts).values():  # a missing part is named by record_count
        parsed.update(_read_from(part))
    left_out = {(row["source"], row["file"]) for row in shards.provenance.settings.get(UNUSABLE, [])}
    listed: dict[tuple[str, str, str], list[str]] = {}
    for row in catalogue:
        # A piece of a cut file stands in the parts under the path of the whole.
        stem, _, ending = row["path"].rpartition(".")
        own, piece = ((row["source"], path, row["sha256"]) for path in (row["path"], stem))
        file = piece if piece in parsed else own
        unusable = own[:2] in left_out or (piece[:2] in left_out and f".{ending}" not in COMPRESSION_ENDINGS)
        if file in parsed or not unusable:
            listed.setdefault(file, []).append(row["path"])
    barren = _barren(home, shards, index, {file: paths for file, paths in listed.items() if file not in parsed})
    for file in sorted({*listed, *parsed}):
        source, path, sha256 = file
        expected, found = len(listed.get(file, ())), parsed[file] + barren[file]
        if expected != found:
            yield (
                f"{source}: {path} (sha256 {sha256[:16]}…) is listed {expected:,} times in {RAW_FASTA.name}, but was "
                f"parsed {found:,} times; materialise sequence_shards again"
            )


def _read_from(part: Part) -> Iterator[tuple[str, str, str]]:
    """Yield source, path and SHA-256 of each stored file that a part was read from."""
    sha256 = part.facts["sha256"]
    for each in [sha256] if isinstance(sha256, str) else sha256:
        yield part.facts["source"], part.facts["file"], each


def _barren(
    home: Home, shards: Snapshot, index: PartIndex, files: Mapping[tuple[str, str, str], Sequence[str]]
) -> Counter[tuple[str, str, str]]:
    """Count the files whose unit was parsed and gave no sequence: no file of the table names them, only a part."""
    recorded = shards.provenance.settings
    settings = ParseSettings(**{name: recorded[name] for name in ParseSettings.__dataclass_fields__})
    found: Counter[tuple[str, str, str]] = Counter()
    cut: dict[tuple[str, str], list[StoredFile]] = {}
    for (source, path, sha256), _ in files.items():
        file = StoredFile(path, "", sha256)
        part = index.find(parse_task(home, source, path, (file,), settings).shards_key)
        if part and not part.facts["accepted"]:
            found.update(_read_from(part))
        cut.setdefault((source, path.rpartition(".")[0]), []).append(file)
    for (source, path), pieces in cut.items():
        ordered = tuple(sorted(pieces, key=lambda file: file.path))
        part = index.find(parse_task(home, source, path, ordered, settings).shards_key)
        if part and not part.facts["accepted"]:
            found.update((source, file.path, file.sha256 or "") for file in ordered)
    return found


@rule(SEQUENCE_SHARDS, "No identifier occurs twice in a file")
def unique_ids(home: Home) -> Iterator[str]:
    """Look for identifiers that occur twice in a file, or in a member of an archive."""
    for part in home.table(SEQUENCE_SHARDS).at().by_part(["file", "seq_id"]):
        counts = part.group_by(["file"]).aggregate([("seq_id", "count"), ("seq_id", "count_distinct")])
        repeated = pc.subtract(counts["seq_id_count"], counts["seq_id_count_distinct"])
        for file, more in zip(counts["file"].to_pylist(), repeated.to_pylist(), strict=True):
            if more:
                yield f"{file}: {more:,} identifiers occur more than once"


@rule(
    SEQUENCE_SHARDS,
    "Lengths are at least 1 and at least the number of A, C, G, T; GC is in [0, 1], and empty only without any",
)
def lengths_and_gc(home: Home) -> Iterator[str]:
    """Look for rows with impossible numbers."""
    for part in home.table(SEQUENCE_SHARDS).row_groups(["file", "seq_id", "length", "gc_content", "acgt_bases"]):
        length, acgt = part["length"].to_numpy(), part["acgt_bases"].to_numpy()
        gc = part["gc_content"].to_numpy()
        wrong = (length < 1) | (acgt < 0) | (acgt > length) | (np.isnan(gc) != (acgt == 0)) | (gc < 0) | (gc > 1)
        for place in np.flatnonzero(wrong)[:SHOWN]:
            row = part.slice(place, 1).to_pylist()[0]
            yield ", ".join(f"{name} {value}" for name, value in row.items())


@rule(SEQUENCE_SHARDS, "Every file of the catalogue can be used", blocking=False)
def every_file_is_used(home: Home) -> Iterator[str]:
    """Name the files that were left out."""
    for row in home.table(SEQUENCE_SHARDS).provenance().settings.get(UNUSABLE, []):
        yield f"left out, {row['source']}: {row['reason']}"


def define(settings: CorpusSettings) -> list[Member]:
    """Return the two tables and their rules."""
    shards = shards_asset(settings.max_unusable_share)
    return [shards, every_file_is_used, record_count, every_file, unique_ids, lengths_and_gc]
