"""raw_proteins and rejected_proteins: the records of files of proteins, and the genes of contigs.

Belongs here: which files must be read, whether the result may be published, publishing it, and the rules of the two
tables. Does not belong here: reading (``passes/parse.py``).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import dagster as dg
import pyarrow.compute as pc
from pydantic import Field

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
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
from opengenome_assets.proteins.files import CONTIGS
from opengenome_assets.proteins.passes.parse import ParseTask, parse_file, parse_task
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import ACCESSIONS, PROTEIN_FILES, PROTEINS, REJECTED_PROTEINS
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home

ADVICE = "Mend or remove them and materialise protein_files and what follows again"


class ProteinsConfig(dg.Config):
    """Run config of raw_proteins and rejected_proteins."""

    max_rejected_share: float = Field(
        default=0.1, ge=0, le=1, description="Stop, publishing no proteins, if more than this share is refused."
    )
    max_unusable_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Leave out files that cannot be used if they are at most this share of all files; else stop.",
    )


def define(_: ProteinsSettings) -> list[Member]:
    """Return the two tables and their rules."""
    return [raw_proteins, everything_is_accounted_for, sequences_have_their_checksums, every_file_is_used]


@dg.multi_asset(
    pool=HOME_POOL,
    name=PROTEINS.name,
    can_subset=True,
    specs=[asset_spec(spec, [PROTEIN_FILES, ACCESSIONS]) for spec in (REJECTED_PROTEINS, PROTEINS)],
)
def raw_proteins(
    context: dg.AssetExecutionContext,
    config: ProteinsConfig,
    home: dg.ResourceParam[Home],
    engine: dg.ResourceParam[Engine],
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Read the files that were not read before; publish the tables if not too much is refused."""
    making = Making(context, __name__)
    inputs = {spec.name: home.table(spec).at() for spec in (PROTEIN_FILES, ACCESSIONS)}
    codes = dict(zip(*inputs[ACCESSIONS.name].read(["accession", "genetic_code"]).to_pydict().values(), strict=True))
    files = inputs[PROTEIN_FILES.name].read().to_pylist()
    tasks = [parse_task(home, row, codes[row["accession"]]) for row in files]
    results = _present(home, tasks)
    new = [place for place, result in enumerate(results) if result is None]
    parsed = engine.map(
        parse_file,
        [tasks[place] for place in new],
        weights=[files[place]["bytes"] for place in new],
        label="reading proteins",
        unit="bytes",
        log=context.log,
    )
    for place, found in zip(new, parsed, strict=True):
        results[place] = found
    try:
        parts, unusable = usable_parts(
            [(task.accession, task.file.path) for task in tasks], results, config.max_unusable_share, ADVICE
        )
    except TooManyUnusableError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    tally: Counter[str] = Counter()
    for part, _ in parts:
        tally.update({name: part.facts[name] for name in ("records", "accepted", "rejected", "letters")})
    settings = {UNUSABLE: unusable} if unusable else {}
    for row in unusable:
        context.log.warning(f"left out: {row['reason']}")
    facts = {
        **tally,
        "files": len(parts),
        "files_reused": len(files) - len(new),
        **({UNUSABLE: [row["reason"] for row in unusable[:NAMED]]} if unusable else {}),
    }

    def publish(spec: TableSpec, pieces: list[Part]) -> dg.MaterializeResult[Any]:
        record = Provenance(
            name=spec.name,
            code_version=spec.code_version,
            settings=settings,
            inputs={name: snapshot.input for name, snapshot in inputs.items()},
        )
        own = record.model_copy(update={"name": PROTEINS.name, "code_version": PROTEINS.code_version})
        record = making.recorded(record.model_copy(update={"corpus": own.data_version}))
        return making.result(spec, home.table(spec).commit(spec.schema, pieces, record), record, facts)

    refused = [part for _, part in parts]
    if unusable:
        rows = [
            {"accession": row["source"], "file": row["file"], "reason": row["reason"], "letter": ""} for row in unusable
        ]
        refused.append(unusable_part(home, REJECTED_PROTEINS, rows))
    # Refused records are published in any case, so that people can look at them.
    yield emitted(context, home, publish(REJECTED_PROTEINS, refused))
    share = tally["rejected"] / max(tally["records"], 1)
    if share > config.max_rejected_share:
        raise dg.Failure(
            f"{tally['rejected']:,} of {tally['records']:,} records were refused ({share:.1%}), more than the "
            f"{config.max_rejected_share:.1%} that max_rejected_share allows. The table rejected_proteins names "
            "each of them: opengenome show rejected_proteins. Mend or remove those files, or allow more: opengenome "
            f"run --config-json '{allowing(PROTEINS, share)}'",
            allow_retries=False,
        )
    if not tally["accepted"]:
        raise dg.Failure("No file gives any protein; see the table rejected_proteins", allow_retries=False)
    yield emitted(context, home, publish(PROTEINS, [part for part, _ in parts]))


def _present(home: Home, tasks: Sequence[ParseTask]) -> list[Parsed | None]:
    """Return for each task the result of an earlier run, or None."""
    found, refused = home.table(PROTEINS).parts(), home.table(REJECTED_PROTEINS).parts()
    results: list[Parsed | None] = []
    for task in tasks:
        parts = found.find(task.proteins_key), refused.find(task.rejected_key)
        results.append(Parsed(*parts) if all(parts) else None)
    return results


@rule(PROTEINS, "Accepted and refused records of each file of proteins are its header lines, counted by other code")
def everything_is_accounted_for(home: Home) -> Iterator[str]:
    """Compare rows of both tables with the header lines that the stream counted."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for name, spec in (("accepted", PROTEINS), ("rejected", REJECTED_PROTEINS)):
        for group in home.table(spec).row_groups(["accession", "file"]):
            counts = group.group_by(["accession", "file"]).aggregate([([], "count_all")])
            for accession, file, number in zip(
                *(counts[column].to_pylist() for column in ("accession", "file", "count_all")), strict=True
            ):
                rows.setdefault((accession, file), Counter())[name] += number
    index, snapshot = home.table(PROTEINS).parts(), home.table(PROTEINS).at()
    for key in snapshot.parts:
        part = index.find(key)
        facts = part.facts if part else {}
        if facts.get("kind") == CONTIGS:
            continue
        own = rows.get((facts.get("source", ""), facts.get("file", "")), Counter())
        if own.total() != facts.get("header_lines"):
            yield (
                f"{facts.get('file')}: {own['accepted']:,} proteins and {own['rejected']:,} refused records, but "
                f"{facts.get('header_lines')} header lines"
            )


@rule(PROTEINS, "Each sequence has its stated length and SHA-256, and letters A to Z only")
def sequences_have_their_checksums(home: Home) -> Iterator[str]:
    """Hash every sequence again."""
    for rows in home.table(PROTEINS).row_groups(["accession", "protein_id", "length", "protein_sha256", "sequence"]):
        wrong = pc.invert(pc.match_substring_regex(rows["sequence"], "^[A-Z]+$")).to_pylist()
        for row, bad in zip(rows.to_pylist(), wrong, strict=True):
            content = row["sequence"].encode()
            if bad or len(content) != row["length"] or sha256(content).hexdigest() != row["protein_sha256"]:
                yield f"{row['accession']}, {row['protein_id']}: the sequence is not the one that is stated"


@rule(PROTEINS, "Every file of the catalogue can be used", blocking=False)
def every_file_is_used(home: Home) -> Iterator[str]:
    """Name the files that were left out."""
    for row in home.table(PROTEINS).provenance().settings.get(UNUSABLE, []):
        yield f"left out, {row['source']}: {row['reason']}"
