"""Plans: the units of each pass, and which of them are finished.

Belongs here: from tables to units, their keys, and finding their parts, without Dagster. Does not belong here: making
the rest (``units.py``), and the work on a unit (``passes``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from opengenome_assets.framework.table import TableSpec
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.settings import local_home
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import index, tools
from opengenome_assets.variants.passes import align, call, depth, quality
from opengenome_assets.variants.regions import REGION, cut, ploidies
from opengenome_assets.variants.sums import refuse_changed
from opengenome_assets.variants.tables import (
    ALIGNMENTS,
    GENOTYPES,
    RAW_READS,
    READ_DEPTH,
    READ_FILES,
    READ_QUALITY,
    REFERENCE,
    VARIANTS_RAW,
)
from opengenome_assets.variants.work import Unit, Work


@dataclass(frozen=True)
class Plan:
    """A pass over units.

    Attributes
    ----------
    label
        Its name, for the log.
    compute
        Function of a unit's work and one writer per table, importable by workers.
    reads, outputs
        The tables read, and those made, all of these with one code version.
    units
        The units.
    settings
        What the record holds beside the inputs.
    unit
        Unit of the weights, for the log.
    seconds
        CPU seconds that one unit of weight takes, roughly: a plan of little work starts no workers.
    files
        The facts that have the path, below the home, of a file that belongs to the part; a part without its files is
        made again.
    """

    label: str
    compute: Work
    reads: tuple[TableSpec, ...]
    outputs: tuple[TableSpec, ...]
    units: tuple[Unit, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    unit: str = "bytes"
    seconds: float = 1.0
    files: tuple[str, ...] = ()

    @cached_property
    def keys(self) -> list[str]:
        """The key of each unit's parts."""
        made = [[each.name, each.code_version] for each in self.outputs]
        return [digest([*made, unit.content]) for unit in self.units]

    def finished(self, home: Home) -> list[list[Part]]:
        """Return the parts of each unit, one per table; none for a unit that is not finished."""
        indexes = [PartIndex(home.table(output).uri) for output in self.outputs]
        return [self._present(home, indexes, key) for key in self.keys]

    def _present(self, home: Home, indexes: Sequence[PartIndex], key: str) -> list[Part]:
        parts = [part for each in indexes if (part := each.find(key))]
        if len(parts) < len(indexes):
            return []
        folder, facts = local_home(home.uri), parts[0].facts
        there = all(name in facts and (folder / facts[name]).exists() for name in self.files)
        return parts if there else []


def fasta_of(home: Home) -> str:
    """Return the path of the reference's FASTA for tools; the aligner's index has the same path."""
    (folder,) = set(home.table(REFERENCE).read(["folder"])["folder"].to_pylist())
    return str(local_home(home.uri) / folder / index.NAME)


def whole_fasta_of(home: Home) -> str:
    """Return the path of the reference's FASTA after comparing it with its sum. Raises DamagedError."""
    fasta = fasta_of(home)
    refuse_changed(Path(fasta).parent, [index.NAME, f"{index.NAME}.fai"], REFERENCE.name)
    return fasta


def plan_quality(home: Home) -> Plan:
    """Return the plan of read_quality and read_files: a unit per file."""
    units = [
        Unit(
            name=row["path"],
            sample=row["source"],
            content=[row[name] for name in ("source", "lane", "mate", "sha256")],
            weight=row["bytes"],
            work=quality.ReadFile(
                row["source"], row["lane"], row["mate"], StoredFile(row["path"], row["uri"], row["sha256"])
            ),
        )
        for row in home.table(RAW_READS).read().to_pylist()
    ]
    return Plan("counting reads", quality.measure, (RAW_READS,), (READ_QUALITY, READ_FILES), tuple(units), seconds=3e-8)


def plan_alignments(home: Home) -> Plan:
    """Return the plan of alignments: a unit per sample."""
    versions = tools.versions()
    settings = {"aligner": f"bwa-mem3 {versions['bwa-mem3']}", "samtools": versions["samtools"]}
    units = tuple(_samples(home, settings))
    reads = RAW_READS, REFERENCE
    return Plan(
        "aligning reads", align.align, reads, (ALIGNMENTS,), units, settings, seconds=3e-7, files=("cram", "sums")
    )


def _samples(home: Home, settings: Mapping[str, str]) -> Iterator[Unit]:
    reference = home.table(REFERENCE).read().sort_by("number").to_pylist()
    contigs = tuple((row["contig"], row["length"], row["md5"]) for row in reference)
    rows = home.table(RAW_READS).read().sort_by([(n, "ascending") for n in ("source", "lane", "mate")]).to_pylist()
    for sample, run in groupby(rows, key=lambda row: row["source"]):
        files = list(run)
        content = [sample, files[0]["patient"], files[0]["sex"], contigs, settings]
        content.append([[row[name] for name in ("lane", "mate", "sha256")] for row in files])
        folder = f"alignments/{digest([ALIGNMENTS.code_version, content])[:32]}"
        work = align.SampleReads(
            sample=sample,
            patient=files[0]["patient"],
            sex=files[0]["sex"],
            lanes=tuple(_lanes(files)),
            fasta=fasta_of(home),
            contigs=contigs,
            home=str(local_home(home.uri)),
            cram=f"{folder}/{sample}.cram",
            aligner=settings["aligner"],
        )
        yield Unit(sample, sample, content, sum(row["bytes"] for row in files), work)


def _lanes(files: Sequence[dict[str, Any]]) -> Iterator[align.LaneReads]:
    for lane, run in groupby(files, key=lambda row: row["lane"]):
        one, two = (StoredFile(row["path"], row["uri"], row["sha256"]) for row in run)
        yield align.LaneReads(lane, (one, two))


def plan_depth(home: Home, size: int = REGION) -> Plan:
    """Return the plan of read_depth: a unit per sample and region."""
    settings = {"samtools": tools.versions()["samtools"]}
    fasta, folder = fasta_of(home), local_home(home.uri)
    units = []
    for sample, region, _ in _regions(home, size):
        name = sample["sample"]
        content = [name, sample["sha256"], region.content, settings]
        work = depth.Covering(name, region, str(folder / sample["path"]), fasta)
        units.append(Unit(f"{name}:{region.name}", name, content, region.letters, work))
    reads = ALIGNMENTS, REFERENCE
    return Plan("measuring depth", depth.measure, reads, (READ_DEPTH,), tuple(units), settings, "letters", 5e-7)


def plan_calls(home: Home, size: int = REGION) -> Plan:
    """Return the plan of variants_raw and genotypes: a unit per sample and region."""
    settings = {
        "bcftools": tools.versions()["bcftools"],
        **{command: " ".join(options) for command, options in call.OPTIONS.items()},
        "padding": call.PADDING,
        "minimum_qual": call.MINIMUM_QUAL,
    }
    fasta, folder = fasta_of(home), local_home(home.uri)
    units = []
    for sample, region, ploidy in _regions(home, size):
        name = sample["sample"]
        content = [name, sample["sha256"], region.content, ploidy, settings]
        work = call.Calling(name, region, str(folder / sample["path"]), fasta, tuple(ploidy))
        units.append(Unit(f"{name}:{region.name}", name, content, region.letters, work))
    reads = ALIGNMENTS, REFERENCE
    return Plan("calling", call.call, reads, (VARIANTS_RAW, GENOTYPES), tuple(units), settings, "letters", 5e-6)


def _regions(home: Home, size: int) -> Iterator[tuple[dict[str, Any], Any, list[tuple[str, int, int, int]]]]:
    """Yield samples, regions, and the ploidies on the region's contig."""
    contigs = home.table(REFERENCE).read().sort_by("number").to_pylist()
    for sample in home.table(ALIGNMENTS).read().sort_by("sample").to_pylist():
        other = ploidies(contigs, sample["sex"])
        for region in cut(contigs, size):
            yield sample, region, [each for each in other if each[0] == region.contig]
