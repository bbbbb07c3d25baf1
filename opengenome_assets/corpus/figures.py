"""figure_*: pictures of the corpus' tables.

Belongs here: the list of figures, and the tables of each. Does not belong here: drawing (``plots``), and storing a
figure (``framework/figures.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from opengenome_assets.corpus import plots
from opengenome_assets.corpus.tables import CODON_RSCU, KMER_FREQUENCIES, SEQUENCE_STATS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.figures import FigureSpec
from opengenome_assets.framework.summaries import Step
from opengenome_assets.storage.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd

    from opengenome_assets.plots.style import Picture

MAX_PROFILES = 1000


def figure_specs(ks: Sequence[int]) -> list[FigureSpec]:
    """Return every figure of the group."""
    frequencies = [KMER_FREQUENCIES.member(k) for k in ks]
    return [
        FigureSpec(
            "figure_gc_content",
            "GC content of the sequences, by source, with the median.",
            (SEQUENCE_STATS,),
            draw_gc_content,
            code_version="2",
        ),
        FigureSpec(
            "figure_lengths",
            "Lengths of the sequences, by source, with N50.",
            (SEQUENCE_STATS,),
            draw_lengths,
            code_version="2",
        ),
        *(
            FigureSpec(
                f"figure_kmers_k{k}",
                f"The most frequent {k}-mers of each source.",
                (table,),
                partial(draw_top_kmers, k=k),
                code_version="2",
            )
            for k, table in zip(ks, frequencies, strict=True)
        ),
        FigureSpec(
            "figure_spectrum",
            "k-mer spectrum: how many distinct k-mers occur how often, for each k.",
            tuple(frequencies),
            partial(draw_spectrum, ks=ks),
            code_version="2",
        ),
        FigureSpec(
            "figure_codon_usage",
            "Codons per thousand in genes, grouped by amino acid.",
            (CODON_RSCU,),
            draw_codon_usage,
            code_version="2",
        ),
        FigureSpec(
            "figure_rscu",
            "Relative synonymous codon usage (RSCU) by source, in genes and in the reading frames.",
            (CODON_RSCU,),
            draw_rscu,
            code_version="2",
        ),
        FigureSpec(
            "figure_kmer_pca",
            "Principal components of the sequences' 6-mer profiles: small sources whole, of large ones as many as make "
            f"up to {MAX_PROFILES:,} sequences.",
            (TFIDF_INDEX, TFIDF_TERMS),
            draw_pca,
            code_version="3",
        ),
    ]


def draw_gc_content(step: Step) -> Picture:
    """Draw the distribution of GC content."""
    return plots.sequences.gc_histogram(step[SEQUENCE_STATS].read().to_pandas())


def draw_lengths(step: Step) -> Picture:
    """Draw the distribution of lengths."""
    return plots.sequences.length_distribution(step[SEQUENCE_STATS].read().to_pandas())


def draw_top_kmers(step: Step, k: int) -> Picture:
    """Draw the most frequent k-mers of each source."""
    columns = ["source", "kmer", "count", "frequency", "rank"]
    return plots.kmers.top_kmers(step[KMER_FREQUENCIES.member(k)].read(columns).to_pandas(), k)


def draw_spectrum(step: Step, ks: Sequence[int]) -> Picture:
    """Draw the k-mer spectrum: how many distinct k-mers occur how often."""
    columns = ["source", "kmer", "count"]
    return plots.kmers.kmer_spectrum({k: step[KMER_FREQUENCIES.member(k)].read(columns).to_pandas() for k in ks})


def draw_codon_usage(step: Step) -> Picture:
    """Draw codons per thousand."""
    return plots.codons.codon_usage(step[CODON_RSCU].read().to_pandas())


def draw_rscu(step: Step) -> Picture:
    """Draw relative synonymous codon usage."""
    return plots.codons.rscu_heatmap(step[CODON_RSCU].read().to_pandas())


def draw_pca(step: Step) -> Picture:
    """Draw sequences by the principal components of their 6-mer profiles."""
    index = spread_sequences(step[TFIDF_INDEX])
    sources = step[TFIDF_TERMS].read(["source"])["source"].to_pylist()
    return plots.profiles.kmer_pca(
        plots.profiles.kmer_profiles(index),
        index["source"].tolist(),
        index["length"].tolist(),
        identifiers=index["seq_id"].tolist(),
        total=step[TFIDF_INDEX].rows,
        sources=set(sources),
    )


def spread_sequences(index: Snapshot, limit: int = MAX_PROFILES) -> pd.DataFrame:
    """Return up to ``limit`` rows of the index, small sources whole and the others evenly spaced.

    Columns: source, seq_id, length, kmers, codes, counts. Sequences without a valid 6-mer are left out.
    """
    ranges: dict[str, list[np.ndarray]] = {}
    first = 0
    for rows in index.row_groups(["source"]):  # each of one shard, and so of one source
        ranges.setdefault(rows["source"][0].as_py(), []).append(np.array([first, first + rows.num_rows]))
        first += rows.num_rows
    sizes = {source: int(sum(end - begin for begin, end in own)) for source, own in ranges.items()}
    places = [spread_places(np.array(ranges[source]), most) for source, most in shares(sizes, limit).items()]
    columns = ["source", "seq_id", "length", "kmers", "codes", "counts"]
    taken: pd.DataFrame = index.take(columns, np.sort(np.concatenate([np.zeros(0, np.int64), *places]))).to_pandas()
    return taken.loc[taken["kmers"] > 0]


def shares(sizes: Mapping[str, int], limit: int) -> dict[str, int]:
    """Share ``limit`` out among sources: small ones get their size, and the others the same number each."""
    given = {}
    for left, source in zip(range(len(sizes), 0, -1), sorted(sizes, key=lambda name: (sizes[name], name)), strict=True):
        given[source] = min(sizes[source], limit // left)
        limit -= given[source]
    return given


def spread_places(ranges: np.ndarray, most: int) -> np.ndarray:
    """Return ``most`` evenly spaced places in ranges of places, int64 of shape (ranges, 2)."""
    ends = np.cumsum(ranges[:, 1] - ranges[:, 0])
    ordinals = np.linspace(0, ends[-1] - 1, most).astype(np.int64)
    inside = np.searchsorted(ends, ordinals, side="right")
    return np.asarray(ranges[inside, 1] - (ends[inside] - ordinals), np.int64)
