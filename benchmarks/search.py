"""Similarity search in process, against NumPy's BLAS and faiss's flat index over the same vectors."""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.corpus import organelle_lengths, sequences
from benchmarks.measure import Cost, in_fresh_process, must_equal
from benchmarks.report import Row, Target, number, table
from opengenome_assets.corpus.tables import TFIDF_INDEX
from opengenome_assets.kernels.profiles import KMERS, sequence_kmers
from opengenome_assets.kernels.warm import warm
from opengenome_assets.search import Query, SearchIndex
from opengenome_assets.search.ranking import query_counts, query_weights
from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home

SEQUENCES = 30_000
MANY_SEQUENCES = 1_000_000
NEEDS, MANY_NEED = 200_000_000, 2_800_000_000  # bases asked for, below which the rows are left out: they take long
QUERY_LENGTHS = (200, 5_000, 100_000)
TOP = 20
ROUNDS = 20
POOL_BASES = 200_000_000
ROW_GROUP, PART = 100, 2_000  # rows, as tfidf_index has them for organelles


def search_row(folder: Path) -> Row:
    """Measure searches over 30,000 sequences, and the peers."""
    result, _ = measured(folder, SEQUENCES, peers=True)
    return Row(
        f"one query over {SEQUENCES:,} sequences, in process, warm, exact; opening the index",
        [
            Target("query", 1e3 * result["ours"], 10, " ms"),
            Target("opening", result["open"], 1, " s"),
        ],
        [
            f"The slowest of queries of {', '.join(f'{length:,}' for length in QUERY_LENGTHS)} bases, the median of "
            f"{ROUNDS} rounds, by the clock, two threads each. NumPy and faiss search unit vectors of 32-bit floats, "
            f"and return the same {TOP} sequences, or others as similar to within what 32 bits tell.",
            table(
                ("", "ms a query", "memory of the vectors, GB"),
                [
                    (name, number(1e3 * result[key]), f"{result[f'{key}_bytes'] / 1e9:.2f}")
                    for name, key in (("ours", "ours"), ("NumPy, BLAS", "numpy"), ("faiss, flat", "faiss"))
                ],
                figures=2,
            ),
            f"Both strands at once: {number(1e3 * result['both'])} ms. {TOP} queries at once: "
            f"{number(1e3 * result['many'])} ms each. The next version of the table, with nothing new: "
            f"{number(1e3 * result['reopen'])} ms.",
        ],
    )


def many_row(folder: Path) -> Row:
    """Measure searches over a million sequences, for which the peers would take 16 GB."""
    result, cost = measured(folder, MANY_SEQUENCES, peers=False)
    return Row(
        f"one query over {MANY_SEQUENCES:,} sequences, in process, warm, exact",
        [
            Target("query", 1e3 * result["ours"], 200, " ms"),
            Target("peak memory", cost.peak / 1e9, 5, " GB"),
        ],
        [
            f"Opening the index takes {number(result['open'])} s, and {result['ours_bytes'] / 1e9:.2f} GB once it is "
            f"open. Both strands at once: {number(1e3 * result['both'])} ms. {TOP} queries at once: "
            f"{number(1e3 * result['many'])} ms each."
        ],
    )


def measured(folder: Path, rows: int, *, peers: bool) -> tuple[Any, Cost]:
    """Make an index of this number of rows, and measure in a process of its own."""
    in_fresh_process("benchmarks.search", "make_index", str(folder), rows)
    result, cost = in_fresh_process("benchmarks.search", "measure", str(folder), peers)
    return result, cost


def make_index(home: str, rows: int) -> None:
    """Write a tfidf_index of this number of rows, each the mean of the counts of two generated sequences."""
    tables, random = Home(home), np.random.default_rng(1)
    pool = counts_pool()
    uri = tables.table("tfidf_index").uri
    parts = []
    for first in range(0, rows, PART):
        with PartWriter(uri, f"{first:08}", TFIDF_INDEX.schema) as writer:
            for start in range(first, min(first + PART, rows), ROW_GROUP):
                stop = min(start + ROW_GROUP, rows)
                pairs = pool[random.integers(0, len(pool), (2, stop - start))]
                writer.write(index_rows(start, pairs.sum(axis=0) // 2))
            parts.append(writer.finish())
    tables.table("tfidf_index").commit(TFIDF_INDEX.schema, parts, Provenance(name="tfidf_index", code_version="1"))


def counts_pool() -> npt.NDArray[np.int32]:
    """Return the 6-mer counts of some thousand generated sequences, shape (n, 4096)."""
    rows = []
    for letters, lengths in sequences(organelle_lengths(POOL_BASES)):
        kmers = sequence_kmers(letters, np.concatenate([[0], np.cumsum(lengths)]))
        counts = np.zeros((len(lengths), KMERS), np.int32)
        counts[np.repeat(np.arange(len(lengths)), np.diff(kmers.row_offsets)), kmers.codes] = kmers.counts
        rows.append(counts)
    return np.concatenate(rows)


def index_rows(first: int, counts: npt.NDArray[np.int32]) -> pa.Table:
    """Return rows of tfidf_index with these counts, shape (n, 4096)."""
    seen = counts != 0
    offsets = pa.array(np.concatenate([[0], np.cumsum(seen.sum(axis=1))]).astype(np.int32))
    codes = np.broadcast_to(np.arange(KMERS, dtype=np.int16), counts.shape)[seen]
    n, sums = len(counts), counts.sum(axis=1)
    columns = {
        "source": ["generated"] * n,
        "file": ["generated.fasta.gz"] * n,
        "seq_id": [f"OG{first + place:09}.1" for place in range(n)],
        "description": ["generated"] * n,
        "length": sums + 5,
        "kmers": sums,
        "codes": pa.ListArray.from_arrays(offsets, pa.array(codes)),
        "counts": pa.ListArray.from_arrays(offsets, pa.array(counts[seen])),
    }
    return pa.table(columns).cast(TFIDF_INDEX.schema)


def measure(home: str, peers: bool) -> dict[str, float]:
    """Open the index, search it, and return seconds and bytes."""
    warm()
    opening = []
    for _ in range(3 if peers else 1):
        started = time.perf_counter()
        index = SearchIndex.open(home)
        opening.append(time.perf_counter() - started)
    queries = make_queries()

    def slowest(search: Callable[[Query], object]) -> float:
        return max(median_seconds(partial(search, query)) for query in queries)

    result = {
        "open": min(opening),
        "reopen": median_seconds(lambda: SearchIndex.open(home, previous=index), rounds=3),
        "given": slowest(lambda query: index.by_cosine([query], top_n=TOP, strand="given")),
        "ours_bytes": index.nbytes,
        "ours": slowest(lambda query: index.by_cosine([query], top_n=TOP)),
        "many": median_seconds(lambda: index.by_cosine([queries[0]] * TOP, top_n=TOP), rounds=5) / TOP,
    }
    return {**result, **measure_peers(index, queries)} if peers else result


def make_queries() -> list[Query]:
    """Return queries like the sequences, but from another seed."""
    ((letters, _),) = sequences(np.array(QUERY_LENGTHS), seed=2)
    ends = np.cumsum(QUERY_LENGTHS)
    pieces = np.split(letters & 0xDF, ends[:-1])
    return [Query(str(len(piece)), piece.tobytes()) for piece in pieces]


def median_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the seconds that work takes, the median of several rounds after a first."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def measure_peers(index: SearchIndex, queries: Sequence[Query]) -> dict[str, float]:
    """Search the same vectors with the peers, compare the answers, and return seconds and bytes."""
    exact = np.stack([index.counts(row) for row in range(index.sequences)]) * index.idf
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    vectors = exact.astype(np.float32)
    flat = faiss.IndexFlatIP(KMERS)
    flat.add(vectors)

    def with_numpy(query: np.ndarray) -> np.ndarray:
        scores = vectors @ query
        best = np.argpartition(scores, -TOP)[-TOP:]
        return best[np.argsort(-scores[best])]

    def with_faiss(query: np.ndarray) -> np.ndarray:
        rows: np.ndarray = flat.search(query[None], TOP)[1][0]
        return rows

    seconds: dict[str, float] = {}
    for query in queries:
        vector = query_weights(query_counts([query]), index.idf)[0] / index.idf
        similarities = exact @ vector
        names = index.names(np.arange(index.sequences))["seq_id"].to_numpy()
        best = np.lexsort((names, -np.round(similarities, 12)))[:TOP]
        hits = index.similar([query], top_n=TOP)[0]
        must_equal("our hits and the most similar vectors", [hit.seq_id for hit in hits], names[best].tolist())
        narrow = vector.astype(np.float32)
        for name, search in (("numpy", with_numpy), ("faiss", with_faiss)):
            away = np.abs(similarities[search(narrow)] - similarities[best]).max()
            must_equal(f"similarities of {name}'s hits and of ours, to 32 bits", bool(away < 1e-6), True)
            seconds[name] = max(seconds.get(name, 0.0), median_seconds(partial(search, narrow)))
    return {**seconds, "numpy_bytes": vectors.nbytes, "faiss_bytes": vectors.nbytes}
