"""Proteins called against their wild types, beside parasail, EMBOSS water, DIAMOND and MMseqs2 on the same proteins.

Belongs here: mutants that all hit, proteins that mostly miss, the library and whole runs on them, and the peers' part
of the work. Does not belong here: the truth of the calls (``opengenome_assets_tests.proteins``).

parasail has wheels for few processors, so it is no dependency: it runs in an environment of its own.
"""

import gzip
import json
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyrodigal
from Bio.SeqIO.FastaIO import SimpleFastaParser

from benchmarks.measure import Cost, in_fresh_process, must_equal, run
from benchmarks.pipeline import Run, materialize
from benchmarks.report import Figure, Row, number, ratio, table
from benchmarks.rows import FULL
from opengenome_assets import corpus
from opengenome_assets.kernels.alignments import align_pairs
from opengenome_assets.kernels.amino_acids import LETTERS, doubled_scores, encode
from opengenome_assets.kernels.assignment import Index
from opengenome_assets.kernels.warm import warm
from opengenome_assets.proteins import call, read_catalogue
from opengenome_assets.proteins.catalogue import SHIPPED
from opengenome_assets_tests.kernels.proteins import AMINO_ACIDS
from opengenome_assets_tests.proteins.mutants import mutants

PROTEINS = 1_000
ROUNDS = 3
SIZES = 1_000, 10_000, 100_000
MISSING = 10_000, 100_000, 1_000_000
ACCESSION = 100
SAMPLE = Path(corpus.__file__).with_name("sample")
GENOMES = "plastids", "mitochondria"
CHANGED = 10
"""In a copy of a real protein, one letter of this many is changed."""
AMRFINDERPLUS = 413
"""Proteins per CPU second of AMRFinderPlus 3.10.23 with 167 references, measured once: 21,035 proteins of 8 genomes."""
WATER_PAIRS = 100
GAP_OPEN, GAP_EXTEND = 20, 1  # doubled

_PARASAIL = """
import json, sys, time
import parasail
letters, scores, pairs = json.load(open(sys.argv[1]))
matrix = parasail.matrix_create(letters, 1, -1)
for i, row in enumerate(scores):
    for j, score in enumerate(row):
        matrix[i, j] = score
before = time.process_time()
found = [parasail.sg_trace_scan_16(query, reference, 20, 1, matrix).score for query, reference in pairs]
print("\\n" + json.dumps([time.process_time() - before, found]))
"""


def proteins_row(bases: int, folder: Path) -> Row:
    """Measure mutants of the shipped wild types, all of which hit, whatever the number of bases."""
    folder.mkdir(parents=True, exist_ok=True)
    names = write_mutants(folder)
    environment = folder / "parasail"
    run([sys.executable, "-m", "venv", str(environment)])
    run([str(environment / "bin/pip"), "install", "--quiet", "parasail", "numpy"])
    library, alignments, parasail = [], [], []
    for _ in range(ROUNDS):
        result, cost = in_fresh_process("benchmarks.proteins", "measure", str(folder))
        peer = run([str(environment / "bin/python"), "-c", _PARASAIL, str(folder / "pairs.json")])
        seconds, scores = json.loads(peer.printed[-1])
        must_equal("scores by ours and by parasail", result["scores"], scores)
        library.append(result["library"])
        alignments.append(result["alignments"])
        parasail.append(seconds)
    ours, aligned, theirs = (float(np.median(each)) for each in (library, alignments, parasail))
    water = water_costs(folder)
    searches = [("DIAMOND, blastp, default", *diamond(folder)), ("MMseqs2, easy-search", *mmseqs(folder))]
    pairs = len(scores)
    rows = [
        ("ours, the whole library: assignment, alignment, calls", ours, cost.peak, PROTEINS),
        ("ours, the alignments alone", aligned, cost.peak, pairs),
        ("parasail sg_trace_scan_16, the alignments alone", theirs, peer.peak, pairs),
        (f"EMBOSS water, a process a pair, {WATER_PAIRS} pairs", water.cpu, water.peak, WATER_PAIRS),
        *((name, one.cpu, one.peak, PROTEINS) for name, one, _ in searches),
    ]
    found = ", ".join(f"{name.partition(',')[0]} {hits:.1%}" for name, _, hits in searches)
    return Row(
        f"{names:,} mutants of proteins called against 246 wild types, one core",
        [
            ratio("CPU of the library / of parasail's alignments alone", library, parasail, 1.5),
            ratio("CPU of the alignments / of parasail's", alignments, parasail),
            Figure("peak memory", cost.peak / 1e9, 1, " GB"),
        ],
        [
            f"{ROUNDS} rounds in turn, a process each. {pairs:,} pairs share enough k-mers to be "
            "aligned, most of them relatives of other organisms. Proofs: "
            + ", ".join(f"{name} {count:,}" for name, count in result["proofs"].items())
            + f". Assigned: {result['assigned']:.2%}; proteins with a hit: {found}.",
            table(
                ("", "CPU s", "CPU ms an item", "peak memory, MB", "items"),
                [
                    (name, number(cpu), number(1e3 * cpu / count), number(peak / 1e6), f"{count:,}")
                    for name, cpu, peak, count in rows
                ],
                figures=4,
            ),
            f"EMBOSS water takes {number(water.cpu / WATER_PAIRS / (aligned / pairs))} times our CPU time "
            "for a pair, with the start of its process.",
        ],
    )


def write_mutants(folder: Path) -> int:
    """Write mutants and wild types as FASTA; return how many mutants there are."""
    catalogue = read_catalogue()
    truth = mutants(catalogue, PROTEINS)
    (folder / "queries.fa").write_text("".join(f">{n}\n{one.protein}\n" for n, one in enumerate(truth)))
    (folder / "wild.fa").write_text("".join(f">{one.accession}\n{one.sequence}\n" for one in catalogue.references))
    return len(truth)


def _sequences(file: Path) -> dict[str, str]:
    lines = file.read_text().splitlines()
    return {name[1:]: sequence for name, sequence in zip(lines[::2], lines[1::2], strict=True)}


def measure(folder: str) -> dict[str, Any]:
    """CPU seconds of the library and of the alignments alone, after compiling; writes the pairs for the peers."""
    warm()
    queries, wild = (_sequences(Path(folder, file)) for file in ("queries.fa", "wild.fa"))
    catalogue = read_catalogue()
    call({"0": queries["0"]}, catalogue)
    before = time.process_time()
    calls = call(queries, catalogue)
    library = time.process_time() - before
    distinct, references = list(dict.fromkeys(queries.values())), list(wild.values())
    packed = [(encode("".join(texts)), np.cumsum([0, *map(len, texts)])) for texts in (distinct, references)]
    pairs, _ = Index(*packed[1]).candidates(*packed[0])
    scores = doubled_scores("BLOSUM62")
    before = time.process_time()
    found = align_pairs(*packed[0], *packed[1], pairs, scores, GAP_OPEN, GAP_EXTEND)
    alignments = time.process_time() - before
    texts = [(distinct[query], references[reference]) for query, reference in pairs.tolist()]
    Path(folder, "pairs.json").write_text(json.dumps([LETTERS, scores.tolist(), texts]))
    return {
        "library": library,
        "alignments": alignments,
        "scores": found.scores.tolist(),
        "proofs": dict(zip(("ungapped", "band", "full"), np.bincount(found.proofs, minlength=3).tolist(), strict=True)),
        "assigned": sum(one.reference is not None for one in calls.values()) / len(calls),
    }


def water_costs(folder: Path) -> Cost:
    """Cost of one process for each of some pairs."""
    _, _, pairs = json.loads((folder / "pairs.json").read_text())
    chosen = random.Random(1).sample(pairs, min(WATER_PAIRS, len(pairs)))
    script = []
    for place, (query, reference) in enumerate(chosen):
        (folder / f"{place}.a").write_text(f">a\n{query}\n")
        (folder / f"{place}.b").write_text(f">b\n{reference}\n")
        script.append(
            f"water -asequence {place}.a -bsequence {place}.b -gapopen 10 -gapextend 0.5 -outfile {place}.out -auto"
        )
    (folder / "water.sh").write_text("set -e\n" + "\n".join(script) + "\n")
    return run(["sh", "water.sh"], folder=folder)


def diamond(folder: Path) -> tuple[Cost, float]:
    """Cost of DIAMOND's search with one thread, and the share of proteins with a hit."""
    run(["diamond", "makedb", "--in", "wild.fa", "-d", "wild", "--quiet"], folder=folder)
    search = ["diamond", "blastp", "-q", "queries.fa", "-d", "wild", "-o", "diamond.tsv", "--threads", "1", "--quiet"]
    return run(search, folder=folder), _hit(folder / "diamond.tsv")


def mmseqs(folder: Path) -> tuple[Cost, float]:
    """Cost of MMseqs2's search with one thread, and the share of proteins with a hit."""
    search = ["mmseqs", "easy-search", "queries.fa", "wild.fa", "mmseqs.tsv", "mmseqs", "-s", "4", "--threads", "1"]
    return run([*search, "-v", "1"], folder=folder), _hit(folder / "mmseqs.tsv")


def _hit(hits: Path) -> float:
    return len({line.partition("\t")[0] for line in hits.read_text().splitlines()}) / PROTEINS


def proteins_growth_row(bases: int, folder: Path) -> Row:
    """Make every asset of mutants that all hit; the fewest again, with an accession more, and by a new catalogue.

    The quick form has the fewest alone.
    """
    sizes = SIZES if bases >= FULL else SIZES[:1]
    runs = {}
    for size in sizes:
        write_accessions(folder / str(size) / "in", size)
        runs[f"{size:,}"] = _run(folder / str(size))
    least, full = folder / str(sizes[0]), runs[f"{sizes[0]:,}"]
    again = _run(least)
    more = mutants(read_catalogue(), sizes[0] // ACCESSION, seed=2)
    (least / "in" / "more_proteins.fasta").write_text(_fasta(dict(enumerate(one.protein for one in more))))
    one_more = _run(least)
    header, *entries = (SHIPPED / "mutations.tsv").read_text().splitlines(keepends=True)
    (least / "half.tsv").write_text("".join([header, *entries[::2]]))
    renewed = _run(least, OPENGENOME_CATALOGUE=f"{least / 'half.tsv'},{SHIPPED / 'references.fasta'}")
    work = {name: run.cost.cpu - again.cost.cpu for name, run in (("full", full), ("one more", one_more))}
    runs |= {"again": again, "an accession more": one_more, "a new catalogue": renewed}
    return Row(
        f"mutants of proteins, all assets of the group: {', '.join(f'{size:,}' for size in sizes)}",
        [
            ratio(
                f"CPU of {sizes[0]:,} proteins / of a run in which nothing is new", full.cost.cpu, again.cost.cpu, 1.2
            ),
            Figure("an accession more, share of the work", 100 * work["one more"] / work["full"], 5, " %"),
            ratio("CPU by a new catalogue / of a run in which nothing is new", renewed.cost.cpu, again.cost.cpu, 2.0),
            Figure("peak memory", max(run.cost.peak for run in runs.values()) / 1e9, 1, " GB"),
        ],
        [
            f"An accession has {ACCESSION} proteins. Work is CPU time above that of the run in which nothing is new.",
            table(
                ("proteins", "CPU s", "wall s", "peak memory, MB"),
                [
                    (name, number(run.cost.cpu), number(run.cost.wall), number(run.cost.peak / 1e6))
                    for name, run in runs.items()
                ],
                figures=3,
            ),
        ],
    )


def _run(folder: Path, **settings: str) -> Run:
    source = folder / "in"
    settings = {"OPENGENOME_PROTEINS": str(source), "OPENGENOME_ENGINE": "processes", **settings}
    return materialize(source, folder / "home", "group:proteins", **settings)


def write_accessions(folder: Path, count: int) -> None:
    """Write mutants as the proteins of accessions of one organism each, and their sample sheet."""
    folder.mkdir(parents=True)
    catalogue = read_catalogue()
    organisms = {entry.reference.accession: entry.organism for entry in catalogue.mutations}
    by_organism: dict[str, dict[int, str]] = {}
    for place, one in enumerate(mutants(catalogue, count)):
        by_organism.setdefault(organisms[one.reference.accession], {})[place] = one.protein
    sheet = ["accession\torganism"]
    for organism, proteins in by_organism.items():
        for first in range(0, len(proteins), ACCESSION):
            accession = f"a{len(sheet):06}"
            sheet.append(f"{accession}\t{organism}")
            some = dict(list(proteins.items())[first : first + ACCESSION])
            (folder / f"{accession}_proteins.fasta").write_text(_fasta(some))
    (folder / "samples.tsv").write_text("\n".join(sheet) + "\n")


def _fasta(proteins: dict[int, str]) -> str:
    return "".join(f">{name}\n{protein}\n" for name, protein in proteins.items())


def proteins_search_row(bases: int, folder: Path) -> Row:
    """Call real proteins, most of which hit nothing, beside DIAMOND and MMseqs2; the quick form leaves out the most."""
    sizes = MISSING if bases >= FULL else MISSING[:2]
    proteins = real_proteins(sizes[0])
    (folder / "queries.fa").write_text(_fasta(dict(enumerate(proteins))))
    wild = {one.accession: one.sequence for one in read_catalogue().references}
    (folder / "wild.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in wild.items()))
    taken = [(measure_missing_apart(sizes[0]), diamond(folder)[0]) for _ in range(ROUNDS)]
    ours, theirs = [one["cpu"] for one, _ in taken], [cost.cpu for _, cost in taken]
    searches = [("DIAMOND, blastp, default", taken[-1][1]), ("MMseqs2, easy-search", mmseqs(folder)[0])]
    measured = {sizes[0]: taken[-1][0], **{size: measure_missing_apart(size) for size in sizes[1:]}}
    cpu = {size: one["cpu"] for size, one in measured.items()}
    linear = cpu[sizes[-1]] / sizes[-1] / (cpu[sizes[0]] / sizes[0])
    return Row(
        f"{sizes[0]:,} to {sizes[-1]:,} proteins of real genomes, most of which hit nothing, one core",
        [
            ratio("CPU / that of DIAMOND's search", ours, theirs, 1.0),
            Figure(f"CPU for a protein, {sizes[-1]:,} / {sizes[0]:,}", linear, 1.2, " x"),
            Figure("peak memory", measured[sizes[-1]]["peak"] / 1e9, 2, " GB"),
            Figure("speed / AMRFinderPlus' on another machine", sizes[0] / cpu[sizes[0]] / AMRFINDERPLUS, unit=" x"),
        ],
        [
            f"{len(real_genes()):,} distinct proteins that Prodigal finds in the shipped plastids and mitochondria, "
            f"and copies of them in which one of {CHANGED} letters is changed. "
            f"Ours and DIAMOND took turns, {ROUNDS} rounds. AMRFinderPlus 3.10.23, with 167 references, took "
            f"{AMRFINDERPLUS} proteins per CPU second elsewhere.",
            table(
                ("", "CPU s", "peak memory, MB", "proteins", "assigned"),
                [
                    *(
                        ("ours", number(one["cpu"]), number(one["peak"] / 1e6), f"{size:,}", f"{one['assigned']:,}")
                        for size, one in measured.items()
                    ),
                    *((name, number(one.cpu), number(one.peak / 1e6), f"{sizes[0]:,}", "") for name, one in searches),
                ],
                figures=4,
            ),
        ],
    )


def measure_missing_apart(count: int) -> dict[str, float]:
    """Measure real proteins in a process of its own."""
    measured: dict[str, float] = in_fresh_process("benchmarks.proteins", "measure_missing", count)[0]
    return measured


def measure_missing(count: int) -> dict[str, float]:
    """CPU seconds and peak memory (bytes) of the library on real proteins, after compiling."""
    warm()
    proteins, catalogue = {str(place): one for place, one in enumerate(real_proteins(count))}, read_catalogue()
    call({"0": proteins["0"]}, catalogue)
    before = time.process_time()
    found = call(proteins, catalogue)
    cpu = time.process_time() - before
    assigned = sum(one.reference is not None for one in found.values())
    return {"cpu": cpu, "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "assigned": assigned}


def real_genes() -> list[str]:
    """Distinct proteins of the genes of the shipped organelles."""
    finder = pyrodigal.GeneFinder(meta=True)
    found: dict[str, None] = {}
    for name in GENOMES:
        with gzip.open(SAMPLE / f"{name}.fasta.gz", "rt") as text:
            for _, sequence in SimpleFastaParser(text):  # type: ignore[no-untyped-call]
                found |= dict.fromkeys(gene.translate().rstrip("*") for gene in finder.find_genes(sequence))
    return [protein for protein in found if "*" not in protein]


def real_proteins(count: int) -> list[str]:
    """Proteins of real genes, and copies of them in which some letters are changed."""
    chance, genes = random.Random(1), real_genes()
    found = genes[:count]
    while len(found) < count:
        letters = list(genes[len(found) % len(genes)])
        for place in range(chance.randrange(CHANGED), len(letters), CHANGED):
            letters[place] = chance.choice(AMINO_ACIDS)
        found.append("".join(letters))
    return found
