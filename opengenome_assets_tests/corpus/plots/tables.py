"""Tables of a corpus computed slowly and obviously from its sequences, as input for figures and report.

What belongs here: the columns that the corpus assets write, from plain loops over strings. What does not: any
code of the package, so that a mistake there cannot hide here.
"""

from __future__ import annotations

import gzip
import random
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from Bio import SeqIO
from Bio.Data.CodonTable import unambiguous_dna_by_id

Corpus = dict[str, list[tuple[str, str]]]
"""Sequences of each source: pairs of id and letters."""

EDGES = [10 ** (step / 20) for step in range(20 * 10)]

_MAYBE_NULL = dict.fromkeys(
    ["ambiguous_share", "gc_content", "gc_median", "mean_length", "median_length", "n50"], float
)


@dataclass(frozen=True)
class Tables:
    """The tables that figures and report read."""

    sequence_stats: pd.DataFrame
    kmer_freq: dict[int, pd.DataFrame]
    codon_rscu: pd.DataFrame
    tfidf_index: pd.DataFrame
    rejected_records: pd.DataFrame


def sample_corpus(folder: Path) -> Corpus:
    """Read the FASTA files that ship with the package."""
    corpus = {}
    for path in sorted(folder.glob("*.fasta.gz")):
        with gzip.open(path, "rt") as lines:
            corpus[path.name.split(".")[0]] = [(r.id, str(r.seq)) for r in SeqIO.parse(lines, "fasta")]
    return corpus


def random_corpus(sources: int, sequences: int = 3, length: int = 600) -> Corpus:
    """Random sequences whose number, length and GC content grow with the source's number."""
    letters = random.Random(1)
    corpus: Corpus = {}
    for source in range(sources):
        gc = 0.2 + 0.6 * source / max(sources - 1, 1)
        weights = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
        corpus[f"source_{source:02}"] = [
            (f"s{source}.{n}", "".join(letters.choices("ACGT", weights, k=length * (source + 1) + n)))
            for n in range(sequences)
        ]
    return corpus


def tables_of(corpus: Corpus, genetic_codes: dict[str, int] | None = None, ks: tuple[int, ...] = (6, 7, 8)) -> Tables:
    """Compute every table of a corpus."""
    everything = [entry for entries in corpus.values() for entry in entries]
    groups = {**corpus, "all": everything}
    codes = {source: (genetic_codes or {}).get(source, 1) for source in groups}
    kmers = {source: {k: _kmers(entries, k) for k in ks} for source, entries in corpus.items()}
    kmers["all"] = {k: sum((kmers[source][k] for source in corpus), Counter()) for k in ks}
    return Tables(
        sequence_stats=pd.DataFrame([_stats(s, entries) for s, entries in groups.items()]).astype(_MAYBE_NULL),
        kmer_freq={k: pd.concat([_frequencies(s, kmers[s][k]) for s in groups], ignore_index=True) for k in ks},
        codon_rscu=pd.concat(
            [_rscu(s, entries, frame, codes[s]) for s, entries in groups.items() for frame in (None, 0, 1, 2)],
            ignore_index=True,
        ),
        tfidf_index=pd.DataFrame(
            [_profile(source, *entry) for source, entries in corpus.items() for entry in entries],
            columns=["source", "file", "seq_id", "description", "length", "kmers", "codes", "counts"],
        ),
        rejected_records=pd.DataFrame(columns=["source", "file", "record", "line", "header", "reason"]),
    )


def _stats(source: str, entries: list[tuple[str, str]]) -> dict[str, object]:
    lengths = sorted((len(letters) for _, letters in entries), reverse=True)
    half, n50, l50 = 0, None, 0
    for length in lengths:
        half, l50, n50 = half + length, l50 + 1, length
        if 2 * half >= sum(lengths):
            break
    letters = Counter("".join(text for _, text in entries))
    acgt = sum(letters[letter] for letter in "ACGT")
    histogram, shares = [0] * 1000, []
    for _, text in entries:
        valid = sum(text.count(letter) for letter in "ACGT")
        if valid:
            gc = text.count("G") + text.count("C")
            histogram[min(1000 * gc // valid, 999)] += 1
            shares.append(gc / valid)
    total = sum(lengths)
    gc_bases = letters["G"] + letters["C"]
    return {
        "source": source,
        "sequences": len(entries),
        "bases": total,
        "acgt_bases": acgt,
        "gc_bases": gc_bases,
        "ambiguous_bases": total - acgt,
        "ambiguous_share": (total - acgt) / total if total else None,
        "ambiguous_sequences": sum(set(text) > set("ACGT") for _, text in entries),
        "gc_content": gc_bases / acgt if acgt else None,
        "gc_median": median(shares) if shares else None,
        "min_length": min(lengths, default=None),
        "max_length": max(lengths, default=None),
        "mean_length": total / len(lengths) if lengths else None,
        "median_length": median(lengths) if lengths else None,
        "n50": n50,
        "l50": l50,
        "gc_histogram": histogram,
        "length_edges": EDGES,
        "length_histogram": [sum(low <= n < high for n in lengths) for low, high in pairwise(EDGES)],
    }


def _kmers(entries: list[tuple[str, str]], k: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for _, text in entries:
        counts.update(text[start : start + k] for start in range(len(text) - k + 1))
    return Counter({kmer: n for kmer, n in counts.items() if set(kmer) <= set("ACGT")})


def _frequencies(source: str, counts: Counter[str]) -> pd.DataFrame:
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = []
    for rank, (kmer, count) in enumerate(ordered, 1):
        mate = kmer.translate(str.maketrans("ACGT", "TGCA"))[::-1]
        both = count + (counts[mate] if mate != kmer else 0)
        rows.append((source, kmer, count, count / total, rank, min(kmer, mate), both))
    columns = ["source", "kmer", "count", "frequency", "rank", "canonical", "canonical_count"]
    types = {"count": int, "frequency": float, "rank": int, "canonical_count": int}
    return pd.DataFrame(rows, columns=columns).astype(types)


def _rscu(source: str, entries: list[tuple[str, str]], frame: int | None, genetic_code: int) -> pd.DataFrame:
    counts: Counter[str] = Counter()
    for _, text in entries:
        if frame is None:
            half = len(text) // 2  # for a gene: the figures take any
            counts.update(text[start : start + 3] for start in range(0, half - 2, 3))
        else:
            counts.update(text[start : start + 3] for start in range(frame, len(text) - 2, 3))
    code = unambiguous_dna_by_id[genetic_code].forward_table
    codons = ["".join(letters) for letters in product("ACGT", repeat=3)]
    total = sum(counts[codon] for codon in codons)
    rows = []
    for codon in codons:
        amino_acid = code.get(codon, "*")
        family = [counts[other] for other in codons if code.get(other, "*") == amino_acid]
        rscu = counts[codon] * len(family) / sum(family) if sum(family) else None
        per_thousand = 1000 * counts[codon] / total if total else None
        basis = "genes" if frame is None else "frames"
        rows.append((source, basis, frame, codon, amino_acid, counts[codon], per_thousand, rscu, genetic_code))
    columns = ["source", "basis", "frame", "codon", "amino_acid", "count", "per_thousand", "rscu", "genetic_code"]
    return pd.DataFrame(rows, columns=columns).astype({"frame": float, "per_thousand": float, "rscu": float})


def _profile(source: str, seq_id: str, text: str) -> tuple[object, ...]:
    counts = _kmers([(seq_id, text)], 6)
    digits = str.maketrans("ACGT", "0123")
    codes = sorted(int(kmer.translate(digits), 4) for kmer in counts)
    by_code = {int(kmer.translate(digits), 4): n for kmer, n in counts.items()}
    number = [by_code[code] for code in codes]
    return (
        source,
        f"{source}.fasta.gz",
        seq_id,
        "",
        len(text),
        sum(number),
        np.array(codes, dtype=np.int16),
        np.array(number, dtype=np.int32),
    )
