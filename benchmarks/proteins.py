"""Proteins called against their wild types, beside parasail, EMBOSS water, DIAMOND and MMseqs2 on the same proteins.

Belongs here: mutants that all hit, the library on them, and the peers' part of the work. Does not belong here: the
truth of the calls (``opengenome_assets_tests.proteins``).

parasail has wheels for few processors, so it is no dependency: it runs in an environment of its own.
"""

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Cost, in_fresh_process, must_equal, run
from benchmarks.report import Row, Target, number, table
from opengenome_assets.kernels.alignments import align_pairs
from opengenome_assets.kernels.amino_acids import LETTERS, doubled_scores, encode
from opengenome_assets.kernels.assignment import Index
from opengenome_assets.kernels.warm import warm
from opengenome_assets.proteins import call, read_catalogue
from opengenome_assets_tests.proteins.mutants import mutants

PROTEINS = 1_000
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


def proteins_row(folder: Path) -> Row:
    """Measure mutants of the shipped wild types, all of which hit."""
    folder.mkdir(parents=True, exist_ok=True)
    names = write_mutants(folder)
    result, cost = in_fresh_process("benchmarks.proteins", "measure", str(folder))
    environment = folder / "parasail"
    run([sys.executable, "-m", "venv", str(environment)])
    run([str(environment / "bin/pip"), "install", "--quiet", "parasail", "numpy"])
    peer = run([str(environment / "bin/python"), "-c", _PARASAIL, str(folder / "pairs.json")])
    seconds, scores = json.loads(peer.printed[-1])
    must_equal("scores by ours and by parasail", result["scores"], scores)
    water = water_costs(folder)
    searches = [("DIAMOND, blastp, default", *diamond(folder)), ("MMseqs2, easy-search", *mmseqs(folder))]
    pairs = len(scores)
    rows = [
        ("ours, the whole library: assignment, alignment, calls", result["library"], cost.peak, PROTEINS),
        ("ours, the alignments alone", result["alignments"], cost.peak, pairs),
        ("parasail sg_trace_scan_16, the alignments alone", seconds, peer.peak, pairs),
        (f"EMBOSS water, a process a pair, {WATER_PAIRS} pairs", water.cpu, water.peak, WATER_PAIRS),
        *((name, one.cpu, one.peak, PROTEINS) for name, one, _ in searches),
    ]
    found = ", ".join(f"{name.partition(',')[0]} {hits:.1%}" for name, _, hits in searches)
    return Row(
        f"{names:,} mutants of proteins called against 246 wild types, one core",
        [
            Target("library, of parasail's alignments alone", result["library"] / seconds, 1.5, " x"),
            Target("peak memory", cost.peak / 1e9, 1, " GB"),
        ],
        [
            f"{pairs:,} pairs share enough k-mers to be aligned, most of them relatives of other organisms. Proofs: "
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
            f"EMBOSS water takes {number(water.cpu / WATER_PAIRS / (result['alignments'] / pairs))} times our CPU time "
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
