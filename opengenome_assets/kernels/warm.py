"""Warm-up: every kernel is compiled, or loaded from the cache, before it is needed.

Belongs here: a call for every module with compiled functions that reaches all of them; the tests find missing ones.
Does not belong here: results. A process that forks workers calls this first, so that code is loaded only once.
"""

import fcntl
import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numba
import numpy as np

from opengenome_assets.kernels.alignments import align_pairs
from opengenome_assets.kernels.amino_acids import doubled_scores, encode
from opengenome_assets.kernels.assignment import Index
from opengenome_assets.kernels.codons import CodonCounter
from opengenome_assets.kernels.composition import composition
from opengenome_assets.kernels.containment import KmerSet, distinct_kmers
from opengenome_assets.kernels.fasta import read_records, split_headers
from opengenome_assets.kernels.fastq import QualityCounter, read_fastq
from opengenome_assets.kernels.frameshifts import align_frames
from opengenome_assets.kernels.genes import ORF, find_genes
from opengenome_assets.kernels.identifiers import SeenIdentifiers
from opengenome_assets.kernels.kmers import KmerCounter, valid_windows
from opengenome_assets.kernels.occurrences import count_occurrences, find_occurrences
from opengenome_assets.kernels.planes import add_document_frequency, dot, norms, pack, score
from opengenome_assets.kernels.profiles import KMERS, document_frequency, sequence_kmers
from opengenome_assets.kernels.tfidf import tfidf

LETTERS = np.frombuffer(b"ACGTNACGTACGTACGTACGT" * 256, np.uint8)
OFFSETS = np.array([0, len(LETTERS)])


def warm() -> None:
    """Call every kernel once, on a few letters."""
    for part in (sequences, reads_and_proteins):
        alone(part)


def alone(part: Callable[[], None]) -> None:
    """Call one of the two parts below, each of half the work, while no other process does.

    Processes that compile the same kernel at the same time would each pay for it. Later ones load it from the cache.
    """
    with Path(numba.config.CACHE_DIR, f"{part.__name__}.lock").open("w") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        part()


def sequences() -> None:
    """Call the kernels of the corpus: parsing, k-mers, codons, genes and search."""
    for batch in read_records(io.BytesIO(b">a b\nACGTN\n").readinto, name="warm"):
        split_headers(batch)
    SeenIdentifiers().add(LETTERS, np.arange(len(LETTERS)))  # enough for its table to grow
    composition(LETTERS, OFFSETS)
    valid_windows(LETTERS, OFFSETS)
    for k in (8, 9):  # the largest k counted in pairs, and one that is not
        KmerCounter((k,)).add(LETTERS, OFFSETS)
    CodonCounter().add(LETTERS, OFFSETS)
    find_genes(LETTERS, 1, method=ORF)
    some = KmerSet(distinct_kmers(LETTERS, 15)[0], 15)
    some.forms_in(LETTERS)
    some.occurrences(LETTERS, 1)
    count_occurrences(LETTERS, OFFSETS, b"ACGT")
    find_occurrences(LETTERS, b"ACGT", 1)
    kmers = sequence_kmers(LETTERS, OFFSETS)
    document_frequency(kmers)
    tfidf(kmers, np.ones(KMERS))
    planes = pack(kmers)
    norms(planes, np.ones(KMERS), 0, 1, np.empty(1))
    score(planes, np.ones((1, KMERS), np.int16), 0, 1)
    dot(planes, np.ones(KMERS), np.zeros(1, np.int64))
    add_document_frequency(planes, np.zeros(1, np.int64), np.zeros(KMERS, np.int64))


def reads_and_proteins() -> None:
    """Call the kernels of reads, and of proteins and their alignments."""
    protein = encode("MKTAYIAKQRQISFVKSHFSRQ")
    ends = np.array([0, len(protein)])
    pairs, _ = Index(protein, ends).candidates(protein, ends)
    align_pairs(protein, ends, protein, ends, pairs, doubled_scores("BLOSUM62"), 20, 1)
    align_frames(protein, protein, doubled_scores("BLOSUM62"), 20, 1, 30)
    for reads in read_fastq(io.BytesIO(b"@a\nACGTN\n+\nIIIII\n").readinto, name="warm"):
        QualityCounter().add(reads)
