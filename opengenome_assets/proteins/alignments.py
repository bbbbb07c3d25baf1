"""protein_alignments and substitutions: each batch of distinct proteins against the references that are new to it.

Belongs here: which pairs of batch and reference are new, the commit, and the rules of the two tables. Does not belong
here: the work on a batch (``passes/align.py``).

The part of a batch is determined by the batch, the set of references, and the scoring. A new catalogue gives each batch
a new part: rows of unchanged references are copied, and only the others are aligned.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pyarrow.compute as pc
from Bio.Align import PairwiseAligner, substitution_matrices
from pydantic import Field

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.kernels.amino_acids import CODES, doubled_scores
from opengenome_assets.proteins.alignment import Scoring
from opengenome_assets.proteins.catalogue import PROTEIN
from opengenome_assets.proteins.changes import AMBIGUOUS, Change, apply
from opengenome_assets.proteins.distinct_proteins import shards_of
from opengenome_assets.proteins.passes.align import IDENTITY, AlignTask, align_batch
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import ALIGNMENTS, DISTINCT_PROTEINS, SUBSTITUTIONS, WILD_TYPES
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

SAMPLED = 40
OUTPUTS = (ALIGNMENTS, SUBSTITUTIONS)


class ProteinAlignmentsConfig(dg.Config):
    """Run config of protein_alignments and substitutions."""

    matrix: str = Field(default="BLOSUM62", description="Substitution matrix by the name under which Biopython has it.")
    gap_open: float = Field(default=10, description="Cost of a gap's first letter, a multiple of 0.5.")
    gap_extend: float = Field(default=0.5, description="Cost of each further letter of a gap, a multiple of 0.5.")


def define(_: ProteinsSettings) -> list[Member]:
    """Return the two tables and their rules."""
    return [
        protein_alignments,
        cigars_hold,
        scores_are_those_of_another_aligner,
        substitutions_give_the_protein_back,
    ]


@dg.multi_asset(
    pool=HOME_POOL,
    name=ALIGNMENTS.name,
    can_subset=True,
    specs=[asset_spec(spec, [DISTINCT_PROTEINS, WILD_TYPES]) for spec in OUTPUTS],
)
def protein_alignments(
    context: dg.AssetExecutionContext,
    config: ProteinAlignmentsConfig,
    home: dg.ResourceParam[Home],
    engine: dg.ResourceParam[Engine],
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Align each batch to the references that are new to it."""
    making = Making(context, align_batch.__module__)
    scoring = Scoring(config.matrix, config.gap_open, config.gap_extend)
    try:
        doubled_scores(scoring.matrix)
        if not scoring.doubled_gaps()[0] >= scoring.doubled_gaps()[1] >= 0:
            raise ValueError(f"gap_open must be at least gap_extend: {config.gap_open}, {config.gap_extend}.")
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    inputs = {spec.name: home.table(spec).at() for spec in (DISTINCT_PROTEINS, WILD_TYPES)}
    plan = plan_batches(home, inputs[DISTINCT_PROTEINS.name], inputs[WILD_TYPES.name], scoring)
    results = engine.map(
        align_batch,
        plan.tasks,
        weights=[plan.weight(task) for task in plan.tasks],
        label="aligning proteins",
        unit="letter comparisons",
        log=context.log,
    )
    parts = [*plan.found, *results]
    facts = {
        "batches": len(parts),
        "batches_reused": len(plan.found),
        "references_aligned": max((len(task.references) for task in plan.tasks), default=0),
        "references": plan.references,
    }
    for place, spec in enumerate(OUTPUTS):
        provenance = making.recorded(
            Provenance(
                name=spec.name,
                code_version=spec.code_version,
                settings=config.model_dump(),
                inputs={name: snapshot.input for name, snapshot in inputs.items()},
                corpus=inputs[DISTINCT_PROTEINS.name].provenance.corpus,
            )
        )
        commit = home.table(spec).commit(spec.schema, [each[place] for each in parts], provenance)
        yield emitted(context, home, making.result(spec, commit, provenance, facts))


@dataclass(frozen=True)
class Plan:
    """The parts that are there, and the batches to align."""

    found: list[tuple[Part, Part]]
    tasks: list[AlignTask]
    references: int

    def weight(self, task: AlignTask) -> int:
        """Return a number that grows with the work of a task."""
        return int(task.facts["letters"]) * max(len(task.references), 1)


def plan_batches(home: Home, distinct: Snapshot, wild_types: Snapshot, scoring: Scoring) -> Plan:
    """Return for each batch its part, or the task that makes it of an older part and the new references."""
    columns = ["reference", "sha256", "sequence"]
    rows = wild_types.read([*columns, "molecule"]).filter(pc.field("molecule") == PROTEIN).select(columns)
    wild = {row["reference"]: tuple(row.values()) for row in rows.to_pylist()}
    ours = [ALIGNMENTS.code_version, SUBSTITUTIONS.code_version, repr(scoring)]
    tables = [home.table(spec) for spec in OUTPUTS]
    indexes = [PartIndex(table.uri) for table in tables]
    snapshots = [table.at() if table.exists() else None for table in tables]
    before = _by_batch(snapshots, indexes, ours)
    batches = home.table(DISTINCT_PROTEINS).parts()
    members = sorted([name, checksum] for name, checksum, _ in wild.values())
    plan = Plan([], [], len(wild))
    for batch in distinct.parts:
        key = digest([*ours, batch, members])
        present = [index.find(key) for index in indexes]
        if present[0] and present[1]:
            plan.found.append((present[0], present[1]))
            continue
        facts = (batches.find(batch) or Part(batch, ())).facts
        old, had = before.get(batch) or before.get(facts.get("rest_of", "")) or ("", {})
        kept = tuple(name for name, (_, checksum, _) in wild.items() if had.get(name) == checksum)
        plan.tasks.append(
            AlignTask(
                batch=shards_of(distinct, batch),
                references=tuple(row for name, row in wild.items() if name not in kept),
                before=tuple(shards_of(snapshot, old) if snapshot else () for snapshot in snapshots),
                kept=kept,
                scoring=scoring,
                key=key,
                uris=tuple(table.uri for table in tables),
                facts={"batch": batch, "references": members, "of": ours, "letters": facts.get("letters", 0)},
            )
        )
    return plan


def _by_batch(
    snapshots: Sequence[Snapshot | None], indexes: Sequence[PartIndex], ours: list[str]
) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the key of each batch's parts in the newest version, and its references with their checksums."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for key in snapshots[0].parts if snapshots[0] and snapshots[1] else ():
        parts = [index.find(key) for index in indexes]
        if parts[0] and parts[1] and parts[0].facts.get("of") == ours:
            found[parts[0].facts["batch"]] = key, dict(parts[0].facts["references"])
    return found


def _sequences(home: Home) -> tuple[dict[str, str], dict[str, str]]:
    """Return the sequences of references, and of distinct proteins."""
    pairs = ((WILD_TYPES, "reference"), (DISTINCT_PROTEINS, "protein_sha256"))
    tables = [home.table(spec).read([name, "sequence"]).to_pydict().values() for spec, name in pairs]
    wild, proteins = (dict(zip(*columns, strict=True)) for columns in tables)
    return wild, proteins


@rule(
    ALIGNMENTS,
    "Each CIGAR consumes the aligned parts of both proteins, has = and X where letters are equal and not, and "
    "gives the "
    "score and the identity again",
)
def cigars_hold(home: Home) -> Iterator[str]:
    """Walk through every CIGAR."""
    wild, proteins = _sequences(home)
    settings = home.table(ALIGNMENTS).provenance().settings
    scores = doubled_scores(settings["matrix"]) / 2
    open_, extend = settings["gap_open"], settings["gap_extend"]
    names = [
        "protein_sha256",
        "reference",
        "score",
        "identity",
        "columns",
        "cigar",
        "query_length",
        "reference_length",
    ]
    windows = ["query_start", "query_end", "reference_start", "reference_end"]
    for rows in home.table(ALIGNMENTS).row_groups([*names, *windows]):
        for row in rows.to_pylist():
            query, reference = proteins.get(row["protein_sha256"], ""), wild.get(row["reference"], "")
            a, b = CODES[np.frombuffer(query.encode(), np.uint8)], CODES[np.frombuffer(reference.encode(), np.uint8)]
            j, i = row["query_start"] - 1, row["reference_start"] - 1
            runs = re.findall(r"(\d+)([=XID])", row["cigar"])
            sizes = np.array([length for length, _ in runs], np.int64)
            kinds = np.frombuffer("".join(kind for _, kind in runs).encode(), np.uint8)
            used = [int(sizes[kinds != ord(other)].sum()) for other in "DI"]
            ends = (j + used[0], i + used[1], sizes.sum()) == (row["query_end"], row["reference_end"], row["columns"])
            lengths = (len(query), len(reference)) == (row["query_length"], row["reference_length"])
            if not (
                ends and lengths and 0 <= j <= j + used[0] <= len(query) and 0 <= i <= i + used[1] <= len(reference)
            ):
                yield f"{_named(row)}: it does not end where it is stated to"
                continue
            columns = np.repeat(kinds, sizes)
            paired = (columns == ord("=")) | (columns == ord("X"))
            first = a[j + np.cumsum(columns != ord("D")) - 1][paired]
            second = b[i + np.cumsum(columns != ord("I")) - 1][paired]
            gaps = sizes[(kinds == ord("I")) | (kinds == ord("D"))]
            score = float(scores[first, second].sum() - (open_ + (gaps - 1) * extend).sum())
            same = first == second
            wrong = ""
            if ((columns[paired] == ord("=")) != same).any():
                wrong = "= and X do not fit the letters"
            elif score != row["score"] or abs(same.sum() / max(sizes.sum(), 1) - row["identity"]) > 1e-9:
                wrong = f"its score is {score:g}, not {row['score']:g}, or its identity another"
            if wrong:
                yield f"{_named(row)}: {wrong}"


def _named(row: dict[str, Any]) -> str:
    """Return the name of a pair, and the beginning of its CIGAR."""
    return f"{row['protein_sha256'][:16]}, {row['reference']}: {row['cigar'][:60]}"


@rule(ALIGNMENTS, f"Biopython's aligner gives the same score of {SAMPLED} pairs, evenly spaced")
def scores_are_those_of_another_aligner(home: Home) -> Iterator[str]:
    """Align some pairs by dynamic programming over everything, in code that is not ours."""
    wild, proteins = _sequences(home)
    settings = home.table(ALIGNMENTS).provenance().settings
    aligner = PairwiseAligner(mode="global")  # type: ignore[no-untyped-call]
    aligner.substitution_matrix = matrix = substitution_matrices.load(settings["matrix"])  # type: ignore[no-untyped-call]
    aligner.open_internal_gap_score = -settings["gap_open"]
    aligner.extend_internal_gap_score = -settings["gap_extend"]
    aligner.end_gap_score = 0
    known = str(matrix.alphabet)
    sample = home.table(ALIGNMENTS).at().spread(["protein_sha256", "reference", "score"], SAMPLED)
    for row in sample.to_pylist():
        pair = (
            "".join(letter if letter in known else "X" for letter in text)
            for text in (wild[row["reference"]], proteins[row["protein_sha256"]])
        )
        score = aligner.score(*pair)  # type: ignore[no-untyped-call]
        if score != row["score"]:
            yield f"{row['protein_sha256'][:16]}, {row['reference']}: score {row['score']:g}, by Biopython {score:g}"


@rule(SUBSTITUTIONS, "The changes of each pair, put into its reference, give the aligned part of the protein back")
def substitutions_give_the_protein_back(home: Home) -> Iterator[str]:
    """Put the changes of every pair into its reference. Ambiguous letters of the protein are no change."""
    wild, proteins = _sequences(home)
    changes: dict[tuple[str, str], list[Change]] = {}
    for rows in home.table(SUBSTITUTIONS).row_groups(["protein_sha256", "reference", "position", "ref_aa", "alt_aa"]):
        for protein, reference, *change in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            changes.setdefault((protein, reference), []).append(Change(*change))
    columns = [
        "protein_sha256",
        "reference",
        "identity",
        "query_start",
        "query_end",
        "reference_start",
        "reference_end",
    ]
    for rows in home.table(ALIGNMENTS).row_groups([*columns, "columns"]):
        for row in rows.filter(pc.greater_equal(rows["identity"], IDENTITY)).to_pylist():
            pair = row["protein_sha256"], row["reference"]
            part = wild[pair[1]][: row["reference_end"]]
            try:
                given = apply(part, tuple(changes.pop(pair, ())))[row["reference_start"] - 1 :]
            except ValueError as error:
                yield f"{pair[0][:16]}, {pair[1]}: {error}"
                continue
            wanted = proteins[pair[0]][row["query_start"] - 1 : row["query_end"]]
            open_ = {*AMBIGUOUS}
            if len(given) != len(wanted) or any(
                a != b and not {a, b} & open_ for a, b in zip(given, wanted, strict=True) if a != b
            ):
                yield f"{pair[0][:16]}, {pair[1]}: the changes give another protein"
    for protein, reference in list(changes)[:20]:
        yield f"{protein[:16]}, {reference}: changes without an alignment"
