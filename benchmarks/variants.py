"""Reads to variants: simulated reads of a megabase of NA12878, beside bwa, minimap2, fastp, bcftools and freebayes.

Belongs here: simulating reads, runs of the group as a user starts them, and the peers' part of the work. Does not
belong here: how calls are judged (the asset ``benchmark``).

Accuracy is that on simulated reads, which are kinder than
real ones.
"""

import csv
import gc
import gzip
import hashlib
import io
import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from dagster import DagsterInstance
from deltalake import DeltaTable

from benchmarks.measure import REPOSITORY, Cost, in_fresh_process, run
from benchmarks.pipeline import materialize
from benchmarks.report import Figure, Row, number, ratio, table
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.warm import warm
from opengenome_assets.variants.passes import align, extraction, quality
from opengenome_assets.variants.passes.pairs import LaneReads
from opengenome_assets.variants.settings import SAMPLE_FOLDER

DATA = REPOSITORY / "opengenome_assets_tests" / "fixtures" / "chr21"
MEGABASE = 1_000_001
ROUNDS = 3
READS = ("reads_1.fq.gz", "reads_2.fq.gz")
# Batches as ours, so that insert sizes are estimated from the same pairs.
BWA = ("bwa", "mem", "-t", "1", "-K", "10000000", "-o", "bwa.sam", "reference.fa", *READS)
FASTP = ("fastp", "-w", "1", "-i", READS[0], "-I", READS[1], "-j", "fastp.json", "-h", "fastp.html")
LANES = 10  # samples of a cohort, of which one changes
NONE = {f"OPENGENOME_{name}": "none" for name in ("CLINVAR", "GNOMAD", "GENES")}
CALLS = "+++++benchmark,read_files"


@dataclass(frozen=True)
class Made:
    """A run: its cost, the CPU seconds of units and of their coordination by table, and the memory of a process."""

    cost: Cost
    units: Mapping[str, tuple[float, float]]

    @property
    def compute(self) -> float:
        """CPU seconds of all units."""
        return sum(compute for compute, _ in self.units.values())

    @property
    def ratio(self) -> float:
        """CPU seconds of all units, over those of planning and committing them."""
        return self.compute / sum(coordination for _, coordination in self.units.values())


def variants_row(bases: int, folder: Path) -> Row:
    """Measure the megabase, depths and seeds, the shipped samples, and a cohort of which one sample changes.

    The number of bases changes nothing.
    """
    base = simulate(folder / "30x", 30, 11)
    peers = peer_costs(base)
    wholes, aligned, counted, bwa_cpu, fastp_cpu = [], [], [], [], []
    for turn in range(ROUNDS):
        wholes.append(make(base, "group:variants", "home" if turn == 0 else f"home-{turn}"))
        (cpu, equal), _ = in_fresh_process("benchmarks.variants", "align_alone", str(base))
        aligned.append(cpu)
        bwa_cpu.append(run(BWA, folder=base).cpu)
        counted.append(in_fresh_process("benchmarks.variants", "count_alone", str(base))[0])
        fastp_cpu.append(run(FASTP, folder=base).cpu)
    align_cpu, qc_cpu, bwa, fastp = (float(np.median(each)) for each in (aligned, counted, bwa_cpu, fastp_cpu))
    medians = {"bwa mem, one thread": bwa, "fastp, one thread": fastp}
    whole = sorted(wholes, key=lambda each: each.cost.cpu)[ROUNDS // 2]
    scores = {"30x": scores_of(base)}
    slopes = [("1 Mb, 30x", MEGABASE * 30, whole.compute)]
    for name, depth, seed, bases in (
        ("30x, another seed", 30, 21, MEGABASE),
        ("60x", 60, 31, MEGABASE),
        ("8x", 8, 41, MEGABASE),
        ("0.1 Mb, 30x", 30, 51, 100_000),
        ("0.3 Mb, 30x", 30, 61, 300_000),
    ):
        place = simulate(folder / f"{depth}x-{seed}", depth, seed, bases)
        part = make(place, CALLS)
        scores[name] = scores_of(place)
        slopes.append((name if "Mb" in name else f"1 Mb, {name}", bases * depth, part.compute))
    sample, clinvar = shipped(folder / "shipped")
    first, second = cohort(folder / "cohort")
    seconds = [1e9 * cpu / letters for _, letters, cpu in slopes if letters >= 8 * MEGABASE]
    return Row(
        "reads to annotated variants: a megabase at 30x, 199,980 reads",
        [
            # What is wrong, since three digits of what is right would hide it.
            Figure("SNVs: 1 - F1, the highest of two seeds and 60x", 1 - lowest(scores, "snv"), 0.003),
            Figure("indels: 1 - F1, the highest of them", 1 - lowest(scores, "indel"), 0.015),
            Figure("primary alignments other than bwa mem's", 100 * (1 - equal), 0.01, " %"),
            ratio("CPU of the alignment / bwa mem's", aligned, bwa_cpu, 0.4),
            ratio("CPU of counting qualities / fastp's", counted, fastp_cpu, 0.2),
            ratio("CPU of all of it with figures and report / bwa mem's", [m.cost.cpu for m in wholes], bwa_cpu, 1.3),
            ratio("CPU of the units' work / bwa mem's", [each.compute for each in wholes], bwa_cpu, 1.3),
            Figure("CPU of the units' work / that of planning and committing it", whole.ratio, 100, " x", least=True),
            ratio("CPU of the shipped samples, all of it / bwa mem's of the megabase", sample.cost.cpu, bwa, 2.0),
            ratio("CPU of a new ClinVar for them / bwa mem's of the megabase", clinvar.cost.cpu, bwa, 0.67),
            Figure(
                "one of ten samples of 50 kb changed: units' work, of that for all ten",
                100 * second.compute / first.compute,
                12,
                " %",
            ),
            Figure("largest process", max(whole.cost.peaks.values()) / 1e9, 1, " GB"),
            Figure(
                "units' CPU per letter of reads: the most / the least, 8x to 60x and 0.3 Mb",
                max(seconds) / min(seconds),
                2,
                " x",
            ),
        ],
        [
            f"Accuracy is that on simulated reads, which are kinder than real ones. The whole run, our alignment, bwa "
            f"mem, our counts and fastp took turns, {ROUNDS} rounds; the table has their medians. The others ran once. "
            "Our alignment and counts are measured within a process that has compiled its kernels; the whole run "
            "begins with the start of Python.",
            table(
                ("", "CPU s", "peak memory, MB"),
                [
                    ("ours: the whole run, as a user starts it", number(whole.cost.cpu), number(whole.cost.peak / 1e6)),
                    ("ours: its units", number(whole.compute), "—"),
                    ("ours: alignment alone, index and pairing included", number(align_cpu), "—"),
                    ("ours: counting qualities of both files", number(qc_cpu), "—"),
                    *(
                        (name, number(medians.get(name, cost.cpu)), number(cost.peak / 1e6))
                        for name, cost in peers.items()
                    ),
                ],
                figures=2,
            ),
            table(
                ("reads", "kind", "precision", "recall", "F1"),
                [
                    (name, row["kind"], *(f"{row[each] or 0:.4f}" for each in ("precision", "recall", "f1")))
                    for name, rows in scores.items()
                    for row in rows
                    if "Mb" not in name
                ],
                figures=3,
            ),
            table(
                ("table", "CPU s of the units", "of planning and commits", "ratio"),
                [(name, number(a), number(b), number(a / b)) for name, (a, b) in whole.units.items()],
                figures=3,
            ),
            table(
                ("size", "CPU s of the units", "ns a letter of reads"),
                [(name, number(cpu), number(1e9 * cpu / letters)) for name, letters, cpu in slopes],
                figures=2,
            ),
        ],
    )


def lowest(scores: Mapping[str, list[dict[str, Any]]], kind: str) -> float:
    """Return the lowest F1 where depth is enough: 8x is reported, without a target."""
    chosen = ("30x", "30x, another seed", "60x")
    return min(row["f1"] or 0.0 for name in chosen for row in scores[name] if row["kind"] == kind)


def simulate(folder: Path, depth: int, seed: int, bases: int = MEGABASE) -> Path:
    """Write the first bases of the megabase, its truth, and reads of its two haplotypes by art_illumina.

    The reads are 2 x 150, with HiSeq 2500's errors, and inserts of 400 ± 50 letters.
    """
    folder.mkdir(parents=True)
    (source,) = DATA.glob("*.fa.gz")
    text = "".join(gzip.decompress(source.read_bytes()).decode().splitlines()[1:])[:bases]
    lines = gzip.decompress((DATA / "truth.vcf.gz").read_bytes()).decode().splitlines()
    head = [line.replace(f"length={MEGABASE}", f"length={len(text)}") for line in lines if line.startswith("#")]
    records = [cells for line in lines if line[0] != "#" and int((cells := line.split("\t"))[1]) < bases - 200]
    (folder / "truth.vcf").write_text("\n".join([*head, *map("\t".join, records), ""]))
    (folder / "reference.fa").write_text(f">chr21\n{text}\n")
    for side in (0, 1):
        pieces, last = [], 0
        for _, pos, _, ref, alts, *_, genotype in records:
            allele = [ref, *alts.split(",")][int(genotype.split("|")[side])]
            pieces += [text[last : int(pos) - 1], allele]
            last = int(pos) - 1 + len(ref)
        (folder / "haplotype.fa").write_text(f">h{side}\n{''.join(pieces)}{text[last:]}\n")
        size = ["-l", "150", "-f", str(depth / 2), "-m", "400", "-s", "50"]
        art = ["art_illumina", "-ss", "HS25", "-p", "-na", "-q", *size, "-rs", str(seed + side), "-d", f"h{side}_"]
        run([*art, "-i", "haplotype.fa", "-o", f"h{side}_"], folder=folder)
    for mate in (1, 2):
        with gzip.open(folder / f"reads_{mate}.fq.gz", "wb", compresslevel=1) as file:
            for side in (0, 1):
                part = folder / f"h{side}_{mate}.fq"
                file.write(part.read_bytes())
                part.unlink()
    (folder / "samples.csv").write_text("sample,fastq_1,fastq_2\nNA12878,reads_1.fq.gz,reads_2.fq.gz\n")
    return folder


def make(folder: Path, select: str, home: str = "home", **settings: str) -> Made:
    """Materialise assets as a user does, with the engine of processes."""
    given = {
        "OPENGENOME_ENGINE": "processes",
        "OPENGENOME_SAMPLES": str(folder / "samples.csv"),
        "OPENGENOME_REFERENCE": str(folder / "reference.fa"),
        "OPENGENOME_TRUTH": str(folder / "truth.vcf"),
        **NONE,
        **settings,
    }
    made = materialize(folder, folder / home, select, **given)
    with DagsterInstance.local_temp(str(folder / home / "dagster")) as instance:
        run_id = instance.get_runs(limit=1)[0].run_id
        events = [entry.dagster_event for entry in instance.all_logs(run_id) if entry.dagster_event]
    units: dict[str, tuple[float, float]] = {}
    for event in events:
        if event.is_step_materialization and event.step_key:
            facts: Mapping[str, Any] = event.step_materialization_data.materialization.metadata
            if "compute_cpu_seconds" in facts:  # the last table of a step has all of its commits
                compute, coordination = (facts[f"{kind}_cpu_seconds"].value for kind in ("compute", "coordination"))
                units[event.step_key] = compute, coordination
    return Made(made.cost, units)


def scores_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of the asset ``benchmark``."""
    rows: list[dict[str, Any]] = (
        DeltaTable(str(folder / "home" / "tables" / "benchmark")).to_pyarrow_table().to_pylist()
    )
    return sorted(rows, key=lambda row: row["kind"], reverse=True)


def peer_costs(folder: Path) -> dict[str, Cost]:
    """Cost of other tools on the same reads, with one thread each; bwa's alignments stay in ``bwa.sam``."""
    run(["bwa", "index", "reference.fa"], folder=folder)
    run(["samtools", "faidx", "reference.fa"], folder=folder)
    costs: dict[str, Sequence[str]] = {
        "bwa mem, one thread": BWA,
        "minimap2, one thread": ["minimap2", "-t", "1", "-ax", "sr", "-o", "minimap2.sam", "reference.fa", *READS],
        "fastp, one thread": FASTP,
    }
    measured = {name: run(command, folder=folder) for name, command in costs.items()}
    run(["samtools", "sort", "-o", "bwa.bam", "bwa.sam"], folder=folder)
    run(["samtools", "index", "bwa.bam"], folder=folder)
    call = "bcftools mpileup -d 1000 -Ou -f reference.fa bwa.bam | bcftools call -mv -o bcftools.vcf"
    measured["bcftools of Debian, mpileup and call, on bwa's alignments"] = run(["sh", "-c", call], folder=folder)
    bayes = "freebayes -f reference.fa bwa.bam > freebayes.vcf"
    measured["freebayes, on bwa's alignments"] = run(["sh", "-c", bayes], folder=folder)
    return measured


def align_alone(folder: str) -> tuple[float, float]:
    """CPU seconds of index, pairing and alignment, and the share of primary alignments that are those of bwa mem."""
    import pysam

    warm()
    lane = LaneReads("1", (_stored(folder, 1), _stored(folder, 2)))
    (fasta,) = Path(folder, "home", "references").glob("*/reference.fa")
    target = extraction.Target(str(fasta), (("chr21", MEGABASE, "", ()),))
    work = align.SampleReads("s", "p", "NA", (lane,), target, folder, "", "bwa-mem3")
    stream = io.BytesIO()
    gc.disable()  # as a unit's work does
    before = _cpu()
    align._align(work, stream, Path(folder, "ours"))
    cpu = _cpu() - before
    Path(folder, "ours.bam").write_bytes(stream.getvalue())
    found = []
    for name in ("ours.bam", "bwa.sam"):
        with pysam.AlignmentFile(str(Path(folder, name))) as file:
            found.append(
                {
                    (read.query_name, read.is_read2): (read.flag, read.reference_start, read.cigarstring)
                    for read in file
                    if not read.flag & 0x900
                }
            )
    ours, theirs = found
    return cpu, sum(theirs.get(read) == place for read, place in ours.items()) / max(len(theirs), 1)


def count_alone(folder: str) -> float:
    """CPU seconds of counting both files, after compiling."""
    warm()
    files = [_stored(folder, mate) for mate in (1, 2)]
    before = _cpu()
    for file in files:
        quality.count(file)
    return _cpu() - before


def _stored(folder: str, mate: int) -> StoredFile:
    path = Path(folder, f"reads_{mate}.fq.gz")
    return StoredFile(path.name, str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def shipped(folder: Path) -> tuple[Made, Made]:
    """Make the shipped samples, and what depends on a new ClinVar."""
    folder.mkdir()
    given = {f"OPENGENOME_{name}": "sample" for name in ("SAMPLES", "REFERENCE", "CLINVAR", "GNOMAD", "GENES")}
    given["OPENGENOME_TRUTH"] = "none"
    first = make(folder, "group:variants", **given)
    (file,) = SAMPLE_FOLDER.glob("clinvar*")
    changed = gzip.decompress(file.read_bytes()).decode().replace("VCV000143919", "VCV999999999")
    (folder / "clinvar.txt").write_text(changed)
    return first, make(folder, "clinvar+", **{**given, "OPENGENOME_CLINVAR": str(folder / "clinvar.txt")})


def cohort(folder: Path) -> tuple[Made, Made]:
    """Make ten samples of 50 kb, and make them again after the reads of one have changed."""
    folder.mkdir()
    rows = []
    for sample in range(LANES + 1):
        place = simulate(folder / f"s{sample}", 30, 100 + 2 * sample, 50_000)
        rows.append([f"s{sample}", *(str(place / f"reads_{mate}.fq.gz") for mate in (1, 2))])
    os.link(folder / "s0" / "reference.fa", folder / "reference.fa")
    made = []
    for chosen in (rows[:LANES], [[rows[0][0], *rows[LANES][1:]], *rows[1:LANES]]):
        with (folder / "samples.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["sample", "fastq_1", "fastq_2"], *chosen])
        made.append(make(folder, "+++variant_files,read_files", OPENGENOME_TRUTH="none"))
    return made[0], made[1]
