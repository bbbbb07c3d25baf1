"""sequence_shards and rejected_records: the corpus as Parquet, and the records that the parser refused.

Belongs here: whether the result of the parsing may be published, publishing it, and the rules of single rows. Does not
belong here: the units and their keys (``units.py``), parsing (``passes/parse.py``), and the rules that account for
every file and record (``accounting.py``).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import dagster as dg
import numpy as np
import pyarrow.compute as pc
from pydantic import Field

from opengenome_assets.corpus.accounting import every_file, record_count
from opengenome_assets.corpus.findings import named
from opengenome_assets.corpus.passes.parse import ParseSettings, ParseTask, parse_files
from opengenome_assets.corpus.passes.pieces import is_large, parse_in_pieces
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import RAW_FASTA, REJECTED_RECORDS, SEQUENCE_SHARDS
from opengenome_assets.corpus.units import find_parsed, parse_tasks
from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import SHOWN, rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.framework.parsing import (
    NAMED,
    UNUSABLE,
    Parsed,
    TooManyUnusableError,
    allowing,
    unusable_part,
    usable_parts,
)
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.intake.containers import ContainerError
from opengenome_assets.storage.packs import written_together
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets.words import plural

TALLIED = ("records", "accepted", "rejected", "too_short", "ambiguous", "bases")
ADVICE = "Mend or remove them and materialise raw_fasta and sequence_shards again"


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
    try:
        parts, unusable = usable_parts(
            [(task.source, task.path) for task in tasks], results, max_unusable_share, ADVICE
        )
    except TooManyUnusableError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
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
        refused.append(unusable_part(home, REJECTED_RECORDS, unusable))

    def publish(spec: TableSpec, pieces: list[Part]) -> dg.MaterializeResult[Any]:
        own = {"name": spec.name, "code_version": spec.code_version}
        record = making.recorded(provenance.model_copy(update=own))
        commit = home.table(spec).commit(spec.schema, pieces, record)
        return making.result(spec, commit, record, extra)

    # Refused records are published in any case, so that people can look at them.
    yield emitted(context, home, publish(REJECTED_RECORDS, refused))
    refuse_unusable(home, tally, settings, config.max_rejected_share)
    yield emitted(context, home, publish(SEQUENCE_SHARDS, [part for part, _ in parts]))


def parse(
    context: dg.AssetExecutionContext,
    engine: Engine,
    home: Home,
    tasks: Sequence[ParseTask],
    sizes: Mapping[tuple[str, str], int],
) -> tuple[list[Parsed | None], int]:
    """Return the result of each task, and how many units were parsed; the parts of the others existed."""
    results = find_parsed(home, tasks)
    weights = [sum(sizes[task.source, file.path] for file in task.files) for task in tasks]
    new = [place for place, result in enumerate(results) if result is None]
    total = sum(weights[place] for place in new)
    large = [place for place in new if is_large(tasks[place], weights[place], total, engine.width)]
    in_pieces = parse_in_pieces(
        engine, [tasks[place] for place in large], [weights[place] for place in large], context.log
    )
    for place, result in zip(large, in_pieces, strict=True):
        results[place] = result
    rest = [place for place in new if results[place] is None]
    together = written_together([tasks[place].shards_key for place in rest], [weights[place] for place in rest])
    places = [[rest[each] for each in some] for some in together]
    parsed = engine.map(
        parse_files,
        [[tasks[place] for place in some] for some in places],
        weights=[sum(weights[place] for place in some) for some in places],
        label="parsing FASTA",
        unit="bytes",
        log=context.log,
    )
    for some, own in zip(places, parsed, strict=True):
        for place, parsed_file in zip(some, own, strict=True):
            results[place] = parsed_file
    return results, len(new)


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
            "rejected_records names each of them: opengenome show rejected_records. Mend or remove those files, or "
            f"allow more: opengenome run --config-json '{allowing(SEQUENCE_SHARDS, share)}'. "
            "sequence_shards was left as it was; the parsed files are kept",
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
    rows = home.table(REJECTED_RECORDS).read(["source", "file", "record", "reason"])
    rows = rows.filter(pc.greater(rows["record"], 0)).to_pylist()  # record 0 stands for a file that is left out
    names = named((row["source"], row["file"]) for row in rows)
    reasons = [(names[row["source"], row["file"]], row["reason"]) for row in rows]
    first = dict(reversed(reasons))
    counts = Counter(name for name, _ in reasons).most_common(top)
    return "; ".join(f"{name}: {plural(count, 'record')}, first: {first[name]}" for name, count in counts)


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
