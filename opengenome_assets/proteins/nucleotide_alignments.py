"""nucleotide_alignments, coding_sequences and disruptions: what the DNA of contigs says that proteins do not.

Belongs here: which parts are new, the commit, and the rules of the three tables. Does not belong here: the work on a
file (``passes/contigs.py``), and calls (``mutation_calls.py``).

A file is read again where a reference of DNA is new, for that reference alone, or where other genes of it have a
reference. A catalogue with other entries on the same references reads nothing.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.framework.parsing import UNUSABLE
from opengenome_assets.framework.summaries import Step, pinned
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.proteins.assignment import READS, Assignment
from opengenome_assets.proteins.catalogue import DNA, PROTEIN
from opengenome_assets.proteins.distinct_proteins import shards_of
from opengenome_assets.proteins.files import CONTIGS
from opengenome_assets.proteins.nucleotides import alignment_in
from opengenome_assets.proteins.passes.contigs import ContigTask, Gene, read_contigs
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import (
    ACCESSIONS,
    CODING_SEQUENCES,
    DISRUPTIONS,
    NUCLEOTIDE_ALIGNMENTS,
    PROTEIN_FILES,
    PROTEINS,
    WILD_TYPES,
)
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

OUTPUTS = (NUCLEOTIDE_ALIGNMENTS, CODING_SEQUENCES, DISRUPTIONS)
_READS = (PROTEIN_FILES, *READS)


def define(_: ProteinsSettings) -> list[Member]:
    """Return the three tables and their rules."""
    return [nucleotide_alignments, copies_hold, coding_sequences_give_the_protein]


@dg.multi_asset(
    pool=HOME_POOL,
    name=NUCLEOTIDE_ALIGNMENTS.name,
    can_subset=True,
    specs=[asset_spec(spec, _READS) for spec in OUTPUTS],
)
def nucleotide_alignments(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Read the files of contigs of which something new is wanted."""
    making = Making(context, read_contigs.__module__)
    step = Step(home, pinned(home, _READS), log=context.log)
    indexes = {spec.name: PartIndex(home.table(spec).uri) for spec in OUTPUTS}
    plans = plan_files(step, indexes)
    tasks = [task for task, _ in plans if task.keys]
    results = engine.map(
        read_contigs,
        tasks,
        weights=[task.facts["bytes"] for task in tasks],
        label="reading contigs",
        unit="bytes",
        log=context.log,
    )
    made = dict(zip((task.file.path for task in tasks), results, strict=True))
    facts = {
        "files": len(plans),
        "files_reused": len(plans) - len(tasks),
        "references_aligned": max((len(task.references) for task in tasks), default=0),
    }
    for spec in OUTPUTS:
        parts = [{**found, **made.get(task.file.path, {})}[spec.name] for task, found in plans]
        provenance = making.recorded(step.provenance(spec.name, spec.code_version, {}))
        commit = home.table(spec).commit(spec.schema, parts, provenance)
        yield emitted(context, home, making.result(spec, commit, provenance, facts))


def plan_files(step: Step, indexes: dict[str, PartIndex]) -> list[tuple[ContigTask, dict[str, Part]]]:
    """Return for each file of contigs the task that makes the parts it lacks, and those that are there."""
    home = step.home
    wild = step[WILD_TYPES].read(["molecule", "reference", "gene", "sha256", "sequence"]).to_pylist()
    own = [row for row in wild if row["molecule"] == DNA]
    dna = {row["reference"]: (row["reference"], row["sha256"], row["sequence"]) for row in own}
    checksums = {row["reference"]: row["sha256"] for row in wild}
    sequences = {row["reference"]: (row["gene"], row["sequence"]) for row in wild}
    codes = dict(zip(*step[ACCESSIONS].read(["accession", "genetic_code"]).to_pydict().values(), strict=True))
    assignment = Assignment(step, ())
    genes = _genes(assignment)
    table = home.table(NUCLEOTIDE_ALIGNMENTS)
    snapshot = table.at() if table.exists() else None
    before = _by_file(snapshot, indexes[NUCLEOTIDE_ALIGNMENTS.name])
    left_out = {row["file"] for row in step[PROTEINS].provenance.settings.get(UNUSABLE, [])}
    plans = []
    for row in step[PROTEIN_FILES].read().to_pylist():
        if row["kind"] != CONTIGS or row["path"] in left_out:
            continue
        own = [row["accession"], row["path"], row["sha256"]]
        organism, entries = assignment.organism[row["accession"]], assignment.entries[DNA]
        wanted = [dna[name] for name in (entries.of(organism) if organism or entries.any else ())]
        members = sorted([name, checksum] for name, checksum, _ in wanted)
        found = tuple(genes.get((row["accession"], row["path"]), ()))
        listed = [[*vars(gene).values(), checksums[gene.reference]] for gene in found]
        code = codes[row["accession"]]
        keys = {
            NUCLEOTIDE_ALIGNMENTS.name: digest([NUCLEOTIDE_ALIGNMENTS.code_version, own, members]),
            CODING_SEQUENCES.name: digest([CODING_SEQUENCES.code_version, own, [each[:5] for each in listed]]),
            DISRUPTIONS.name: digest([DISRUPTIONS.code_version, own, code, listed]),
        }
        present = {name: part for name, key in keys.items() if (part := indexes[name].find(key))}
        old, had = before.get(digest(own), ("", {}))
        kept = tuple(name for name, checksum, _ in wanted if had.get(name) == checksum)
        task = ContigTask(
            accession=row["accession"],
            file=StoredFile(row["path"], row["uri"], row["sha256"]),
            genetic_code=code,
            references=tuple(each for each in wanted if each[0] not in kept)
            if NUCLEOTIDE_ALIGNMENTS.name not in present
            else (),
            before=shards_of(snapshot, old) if snapshot and old else (),
            kept=kept,
            genes=found,
            wild_types={name: sequences[name] for name in {gene.reference for gene in found}},
            keys={name: key for name, key in keys.items() if name not in present},
            uris={spec.name: home.table(spec).uri for spec in OUTPUTS},
            facts={
                "of": digest(own),
                "references": members,
                "code": NUCLEOTIDE_ALIGNMENTS.code_version,
                "bytes": row["bytes"],
            },
        )
        plans.append((task, present))
    return plans


def _genes(assignment: Assignment) -> dict[tuple[str, str], list[Gene]]:
    """Return the genes of each file of contigs whose proteins have a near reference of their organism.

    A gene counts as not covered where a stop or frameshift is known before its first letter: a gene finder begins it
    after an early stop.
    """
    assigned, known = assignment.assigned(), assignment.entries[PROTEIN]
    early = {
        organism: {
            name: min(positions)
            for name, entries in known.of(organism).items()
            if (positions := [entry.position for entry in entries if entry.kind in ("stop", "frameshift")])
        }
        for organism in set(assignment.organism.values())
    }
    found: dict[tuple[str, str], list[Gene]] = defaultdict(list)
    for row in assigned[assigned["near"] & (assigned["method"] != "file")].itertuples():
        found[row.accession, row.file].append(
            Gene(
                *(row.protein_id, row.contig, int(row.start), int(row.end), int(row.strand)),
                row.reference,
                0.0
                if early[row.organism].get(row.reference, row.reference_start) < row.reference_start
                else float(row.coverage_reference),
            )
        )
    return found


def _by_file(snapshot: Snapshot | None, index: PartIndex) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the key of each file's part in the newest version, and its references with their checksums."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for key in snapshot.parts if snapshot else ():
        part = index.find(key)
        if part and part.facts.get("code") == NUCLEOTIDE_ALIGNMENTS.code_version:
            found[part.facts["of"]] = key, dict(part.facts["references"])
    return found


@rule(NUCLEOTIDE_ALIGNMENTS, "Each CIGAR consumes copy and reference, and gives the score and the identity again")
def copies_hold(home: Home) -> Iterator[str]:
    """Walk through every CIGAR."""
    rows = home.table(WILD_TYPES).read(["reference", "sequence"]).to_pydict()
    wild = dict(zip(rows["reference"], rows["sequence"], strict=True))
    for row in home.table(NUCLEOTIDE_ALIGNMENTS).read().to_pylist():
        found = alignment_in(row, wild[row["reference"]])
        j, i, score = 0, found.reference_start, 0.0
        fits = True
        for length, operation in found._runs:
            first, second = found.query[j : j + length], found.reference[i : i + length]
            if operation in "=X":
                pairs = list(zip(first, second, strict=False))
                fits &= len(pairs) == length and all((a == b) == (operation == "=") for a, b in pairs)
                score += sum(5.0 if a == b else -4.0 for a, b in pairs)
            else:
                score -= 10 + 0.5 * (length - 1)
            j += length * (operation != "D")
            i += length * (operation != "I")
        same = abs(found.identity - row["identity"]) < 1e-9 and score == row["score"]
        if not fits or not same or (j, i) != (len(found.query), found.reference_end):
            yield f"{row['accession']}, {row['contig']}:{row['start']}, {row['reference']}: its CIGAR does not fit"


@rule(CODING_SEQUENCES, "The translation of each gene is its protein, but for the first letter")
def coding_sequences_give_the_protein(home: Home) -> Iterator[str]:
    """Translate every gene again, by Biopython."""
    from Bio.Seq import Seq

    columns = ["accession", "file", "protein_id", "partial_5", "sequence"]
    genes = home.table(CODING_SEQUENCES).read(["accession", "file", "protein_id", "sequence"]).to_pylist()
    by_place = {tuple(row[name] for name in columns[:3]): row["sequence"] for row in genes}
    names = pa.array([row["protein_id"] for row in genes], pa.string())
    codes = dict(zip(*home.table(ACCESSIONS).read(["accession", "genetic_code"]).to_pydict().values(), strict=True))
    for rows in home.table(PROTEINS).row_groups(columns):
        for row in rows.filter(pc.is_in(rows["protein_id"], names)).to_pylist():
            bases = by_place.pop(tuple(row[name] for name in columns[:3]), None)
            if bases is None:
                continue
            whole = Seq(bases[: len(bases) // 3 * 3])
            found = str(whole.translate(codes[row["accession"]])).partition("*")[0]  # type: ignore[no-untyped-call]
            if found[1:] != row["sequence"][1:]:
                yield f"{row['accession']}, {row['protein_id']}: the DNA does not give its protein"
    for place in by_place:
        yield f"{', '.join(place)}: no protein of raw_proteins"
