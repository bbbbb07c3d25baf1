"""Similarity search in process, against NumPy's BLAS and faiss's flat index over the same vectors."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.corpus import organelle_lengths, sequences, write_fasta
from benchmarks.ingestion import parse_task
from benchmarks.measure import Cost, in_fresh_process, must_equal
from benchmarks.report import Row, Target, number, table
from opengenome_assets.corpus.passes.mapping import map_index
from opengenome_assets.corpus.passes.parse import parse_file
from opengenome_assets.corpus.passes.profiles import profile_sequences
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.scans import list_shards
from opengenome_assets.framework.shards import Output, ScanTask, part_key, run_scan
from opengenome_assets.kernels.profiles import KMERS, sequence_kmers
from opengenome_assets.kernels.warm import warm
from opengenome_assets.search import Query, SearchIndex
from opengenome_assets.search.options import Strand
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
CONTAINED_BASES = 50_000_000
ROW_GROUP, PART = 100, 2_000  # rows, as tfidf_index has them for organelles


def search_row(folder: Path) -> Row:
    """Measure searches over 30,000 sequences, and the peers."""
    result, _ = measured(folder / "index", SEQUENCES, peers=True)
    in_fresh_process("benchmarks.search", "make_corpus", str(folder / "corpus"))
    contained, _ = in_fresh_process("benchmarks.search", "measure_containment", str(folder / "corpus"))
    return Row(
        f"one query over {SEQUENCES:,} sequences, both strands, in process, warm, exact; opening the index",
        [
            Target("query", 1e3 * result["ours"], 10, " ms"),
            Target("both strands, the default, of one", result["strands"], 1.35, " x"),
            Target("opening", result["open"], 1, " s"),
        ],
        [
            f"The slowest of queries of {', '.join(f'{length:,}' for length in QUERY_LENGTHS)} bases, the median of "
            f"{ROUNDS} rounds, by the clock, two threads each. NumPy and faiss search unit vectors of 32-bit floats, "
            f"with the query as given. They return the same {TOP} sequences as ours, or others as similar to within "
            "what 32 bits tell.",
            table(
                ("", "ms a query", "memory of the vectors, GB"),
                [
                    (name, number(1e3 * result[key]), f"{result[f'{key}_bytes'] / 1e9:.2f}")
                    for name, key in (
                        ("ours, both strands", "ours"),
                        ("ours, as given", "given"),
                        ("NumPy, BLAS", "numpy"),
                        ("faiss, flat", "faiss"),
                    )
                ],
                figures=2,
            ),
            f"{TOP} queries at once: {number(1e3 * result['many'])} ms each. The next version of the table, with "
            f"nothing new: {number(1e3 * result['reopen'])} ms. Reading {TOP} hits, and counting what they hold of the "
            f"query, takes {number(1e3 * contained)} ms more for the slowest of these queries, over "
            f"{CONTAINED_BASES:,} bases.",
        ],
    )


def many_row(folder: Path) -> Row:
    """Measure searches over a million sequences, for which the peers would take 16 GB."""
    result, cost = measured(folder, MANY_SEQUENCES, peers=False)
    return Row(
        f"one query over {MANY_SEQUENCES:,} sequences, both strands, in process, warm, exact",
        [
            Target("query", 1e3 * result["ours"], 200, " ms"),
            Target("both strands, the default, of one", result["strands"], 1.35, " x"),
            Target("peak memory", cost.peak / 1e9, 5, " GB"),
        ],
        [
            f"Opening the index takes {number(result['open'])} s, and {result['ours_bytes'] / 1e9:.2f} GB once it is "
            f"open. The query as given: {number(1e3 * result['given'])} ms. {TOP} queries at once: "
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
    map_index(tables)


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
    given, both = zip(*(in_turn(index, query) for query in queries), strict=True)
    result = {
        "open": min(opening),
        "reopen": median_seconds(lambda: SearchIndex.open(home, previous=index), rounds=3),
        "given": max(given),
        "ours": max(both),
        "strands": max(two / one for one, two in zip(given, both, strict=True)),
        "ours_bytes": index.nbytes + index.mapped_bytes,
        "many": median_seconds(lambda: index.by_cosine([queries[0]] * TOP, top_n=TOP), rounds=5) / TOP,
    }
    return {**result, **measure_peers(index, queries)} if peers else result


def in_turn(index: SearchIndex, query: Query) -> tuple[float, float]:
    """Return the seconds of a search as given and of one on both strands, medians of rounds in turn."""
    seconds: list[list[float]] = [[], []]
    for round_ in range(ROUNDS + 1):
        for place, strand in enumerate(get_args(Strand)[::-1]):
            started = time.perf_counter()
            index.by_cosine([query], top_n=TOP, strand=strand)
            if round_:
                seconds[place].append(time.perf_counter() - started)
    as_given, both = map(statistics.median, seconds)
    return as_given, both


def make_corpus(home: str) -> None:
    """Make sequence_shards of generated organelles, and their tfidf_index."""
    Path(home).mkdir(parents=True)
    file, tables = Path(home, "corpus.fasta.gz"), Home(home)
    write_fasta(file, organelle_lengths(CONTAINED_BASES))
    part = parse_file(replace(parse_task(file, Path(home)), shards_uri=tables.table(SEQUENCE_SHARDS).uri)).accepted
    if part is None:
        raise RuntimeError(f"{file} was not parsed")
    tables.table(SEQUENCE_SHARDS).commit(
        SEQUENCE_SHARDS.schema, [part], Provenance(name=SEQUENCE_SHARDS.name, code_version="1")
    )
    shards = tables.table(SEQUENCE_SHARDS).at()
    specs = (TFIDF_INDEX, TFIDF_TERMS)
    outputs = tuple(Output(tables.table(spec).uri, spec.schema) for spec in specs)
    parts = []
    for shard in list_shards(shards):
        key = part_key([spec.name for spec in specs], "1", {}, shard.name)
        parts.append(run_scan(ScanTask(profile_sequences, shard, key, outputs))[0])
    record = Provenance(name=TFIDF_INDEX.name, code_version="1", inputs={SEQUENCE_SHARDS.name: shards.input})
    tables.table(TFIDF_INDEX).commit(TFIDF_INDEX.schema, parts, record)


def measure_containment(home: str) -> float:
    """Return the seconds that hits take longer with what they hold of the query, of the slowest query."""
    warm()
    index = SearchIndex.open(home)
    return max(
        median_seconds(partial(index.similar, [query], top_n=TOP), rounds=5)
        - median_seconds(partial(index.by_cosine, [query], top_n=TOP), rounds=5)
        for query in make_queries()
    )


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
        hits = index.by_cosine([query], top_n=TOP, strand="given")[0]
        must_equal("our hits and the most similar vectors", [each.hit.seq_id for each in hits], names[best].tolist())
        narrow = vector.astype(np.float32)
        for name, search in (("numpy", with_numpy), ("faiss", with_faiss)):
            away = np.abs(similarities[search(narrow)] - similarities[best]).max()
            must_equal(f"similarities of {name}'s hits and of ours, to 32 bits", bool(away < 1e-6), True)
            seconds[name] = max(seconds.get(name, 0.0), median_seconds(partial(search, narrow)))
    return {**seconds, "numpy_bytes": vectors.nbytes, "faiss_bytes": vectors.nbytes}
