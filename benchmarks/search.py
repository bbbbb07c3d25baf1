"""Similarity search in process, against NumPy's BLAS and faiss's flat index over the same vectors."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.corpus import organelle_lengths, sequences, write_fasta
from benchmarks.ingestion import parse_task
from benchmarks.measure import Cost, both_clocks, in_fresh_process, in_turn, must_equal
from benchmarks.report import Figure, Row, number, ratio, table
from opengenome_assets.corpus.passes.mapping import map_index
from opengenome_assets.corpus.passes.parse import parse_file
from opengenome_assets.corpus.passes.profiles import profile_sequences
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.scans import list_shards
from opengenome_assets.framework.shards import Output, ScanTask, part_key, run_scan
from opengenome_assets.kernels.profiles import KMERS, sequence_kmers
from opengenome_assets.kernels.warm import warm
from opengenome_assets.search import Query, SearchIndex
from opengenome_assets.search.ranking import query_counts, query_weights
from opengenome_assets.storage.mapped import MAPPED_FOLDER, SUFFIX
from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home

SEQUENCES = 30_000
MANY_SEQUENCES = 1_000_000
QUERY_LENGTHS = (200, 5_000, 100_000)
TOP = 20
ROUNDS, OPENINGS = 20, 5
THREADS = 2
PEERS = ("numpy", "faiss")
PAUSE = 0.1  # seconds
WALL, CPU = 0, 1  # of the clocks
POOL_BASES = 200_000_000
CONTAINED_BASES = 50_000_000
ROW_GROUP, PART = 100, 2_000  # rows, as tfidf_index has them for organelles


def search_row(bases: int, folder: Path) -> Row:
    """Measure searches over 30,000 sequences, whatever the number of bases, and the peers."""
    result, _ = measured(folder / "index", SEQUENCES, peers=True)
    in_fresh_process("benchmarks.search", "make_corpus", str(folder / "corpus"))
    contained, _ = in_fresh_process("benchmarks.search", "measure_containment", str(folder / "corpus"))
    wall, cpu = (by_way(result["queries"], clock) for clock in (WALL, CPU))
    strands, strands_cpu = (by_way(result["strands"], clock) for clock in (WALL, CPU))
    better = min(PEERS, key=lambda name: float(np.median(wall[name], axis=1).max()))
    return Row(
        f"one query over {SEQUENCES:,} sequences, in process, warm, exact; opening the index",
        [
            worst("as given, time / the better peer's", wall["given"], wall[better], 0.4),
            worst("both strands, the default, time / one strand", strands["ours"], strands["given"], 1.35),
            ratio("opening, time / reading the bytes of its files", *opening_seconds(result), 1.0),
            worst("both strands, time / the better peer's one strand", wall["ours"], wall[better]),
            worst("as given, CPU / the better peer's", cpu["given"], cpu[better]),
            worst("both strands, CPU / one strand", strands_cpu["ours"], strands_cpu["given"]),
            Figure("as given", 1e3 * slowest(strands["given"]), unit=" ms"),
            Figure("both strands", 1e3 * slowest(strands["ours"]), unit=" ms"),
            Figure("opening", 1e3 * float(np.median(result["open"])), unit=" ms"),
        ],
        [
            f"The slowest of queries of {', '.join(f'{length:,}' for length in QUERY_LENGTHS)} bases, {ROUNDS} rounds "
            f"in turn, time by the clock, {THREADS} threads each. NumPy and faiss search unit vectors of 32-bit "
            f"floats, with the query as given. They return the same {TOP} sequences as ours, or others as similar to "
            "within what 32 bits tell. Both strands and one are measured before there are peers; what is compared with "
            "peers finds the caches full of the vectors of the search before.",
            table(
                ("", "ms a query", "CPU ms a query", "memory of the vectors, GB"),
                [
                    (
                        name,
                        number(1e3 * slowest(wall[key])),
                        number(1e3 * slowest(cpu[key])),
                        f"{result['bytes'][key] / 1e9:.2f}",
                    )
                    for name, key in (
                        ("ours, both strands", "ours"),
                        ("ours, as given", "given"),
                        ("NumPy, BLAS", "numpy"),
                        ("faiss, flat", "faiss"),
                    )
                ],
                figures=3,
            ),
            f"{TOP} queries at once: {number(1e3 * result['many'])} ms each. The next version of the table, with "
            f"nothing new: {number(1e3 * result['reopen'])} ms. Reading {TOP} hits, and counting what they hold of the "
            f"query, takes {number(1e3 * contained)} ms more for the slowest of these queries, over "
            f"{CONTAINED_BASES:,} bases.",
        ],
    )


def many_row(bases: int, folder: Path) -> Row:
    """Measure searches over a million sequences, for which the peers would take 16 GB."""
    result, cost = measured(folder, MANY_SEQUENCES, peers=False)
    wall = by_way(result["strands"], WALL)
    opening, reading = opening_seconds(result)
    return Row(
        f"one query over {MANY_SEQUENCES:,} sequences, in process, warm, exact",
        [
            ratio("both strands, time / reading the bytes of its files", slowest(wall["ours"]), reading, 1.0),
            worst("both strands, the default, time / one strand", wall["ours"], wall["given"], 1.35),
            ratio("opening, time / reading the bytes of its files", opening, reading, 1.0),
            Figure("memory of its own", result["own"] / 1e9, 2.5, " GB"),
            Figure("as given", 1e3 * slowest(wall["given"]), unit=" ms"),
            Figure("both strands", 1e3 * slowest(wall["ours"]), unit=" ms"),
            Figure("opening", 1e3 * float(np.median(opening)), unit=" ms"),
            Figure("peak memory, pages of the index's files included", cost.peak / 1e9, unit=" GB"),
        ],
        [
            f"The index's files have {result['bytes']['ours'] / 1e9:.2f} GB. Reading them is one thread's, from the "
            f"page cache. {TOP} queries at once: {number(1e3 * result['many'])} ms each."
        ],
    )


def by_way(seconds: Mapping[str, Any], clock: int) -> dict[str, npt.NDArray[np.float64]]:
    """Return the seconds of one clock by way to search, shape (queries, rounds)."""
    return {name: np.array(rounds)[:, :, clock] for name, rounds in seconds.items()}


def slowest(seconds: npt.NDArray[np.float64]) -> float:
    """Return the median of the rounds, shape (queries, rounds), of the slowest query."""
    return float(np.median(seconds, axis=1).max())


def worst(
    name: str, ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64], bound: float | None = None
) -> Figure:
    """Return the ratio of two ways to search, shape (queries, rounds) each, for the query with the largest."""
    query = int(np.argmax(np.median(ours / theirs, axis=1)))
    return ratio(name, ours[query], theirs[query], bound)


def opening_seconds(result: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the seconds of opening the index and of reading its files, shape (rounds,) each."""
    return np.array(result["open"]), np.array(result["read"])


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


def measure(home: str, peers: bool) -> dict[str, Any]:
    """Open the index, search it, and return seconds and bytes.

    Returns
    -------
    dict
        ``open`` and ``read``: seconds of opening the index and of reading the bytes of its files, in turn.
        ``strands`` and, with peers, ``queries``: by way to search, seconds of shape (queries, rounds, 2), by the clock
        and of the CPU. ``bytes`` of the vectors by way; ``own``, bytes of the process without files, before there are
        peers; ``many`` and ``reopen``, seconds.
    """
    warm()
    opening, reading = in_turn(
        lambda: SearchIndex.open(home), lambda: read_files(home), rounds=OPENINGS, clock=time.perf_counter
    )
    index = SearchIndex.open(home)
    queries = make_queries()
    many = median_seconds(lambda: index.by_cosine([queries[0]] * TOP, top_n=TOP), rounds=5) / TOP
    ours = index.nbytes + index.mapped_bytes
    result: dict[str, Any] = {
        "open": opening.tolist(),
        "read": reading.tolist(),
        "reopen": median_seconds(lambda: SearchIndex.open(home, previous=index), rounds=3),
        "own": own_memory(),
        "bytes": {"ours": ours, "given": ours},
        "many": many,
    }
    result["strands"] = seconds_of(index, queries, {})
    if peers:
        searches = peers_of(index, queries)
        vectors = index.sequences * KMERS * np.dtype(np.float32).itemsize
        result["bytes"] |= dict.fromkeys(PEERS, vectors)
        result["queries"] = seconds_of(index, queries, searches)
    return result


def seconds_of(
    index: SearchIndex, queries: Sequence[Query], searches: Mapping[str, Callable[[np.ndarray], np.ndarray]]
) -> dict[str, Any]:
    """Return the seconds of each way to search for each query, in turn: lists of shape (queries, rounds, 2)."""
    found: dict[str, Any] = {}
    for query in queries:
        narrow = vector_of(index, query).astype(np.float32)
        works: dict[str, Callable[[], object]] = {
            "given": partial(index.by_cosine, [query], top_n=TOP, strand="given"),
            "ours": partial(index.by_cosine, [query], top_n=TOP),
            **{name: partial(search, narrow) for name, search in searches.items()},
        }
        seconds = in_turn(*works.values(), rounds=ROUNDS, clock=both_clocks, pause=PAUSE)
        for name, each in zip(works, seconds, strict=True):
            found.setdefault(name, []).append(each.tolist())
    return found


def read_files(home: str) -> int:
    """Read the bytes of the files that the index is mapped from, and return how many there are."""
    block, total = bytearray(1 << 20), 0
    for file in Path(Home(home).table(TFIDF_INDEX).uri, MAPPED_FOLDER).rglob(f"*{SUFFIX}"):
        with file.open("rb", buffering=0) as stream:
            while size := stream.readinto(block):
                total += size
    return total


def own_memory() -> int:
    """Return the bytes of this process's memory that lie in no file."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:"))


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


def vector_of(index: SearchIndex, query: Query) -> npt.NDArray[np.float64]:
    """Return a query's unit vector, shape (4096,)."""
    vector: npt.NDArray[np.float64] = query_weights(query_counts([query]), index.idf)[0] / index.idf
    return vector


def peers_of(index: SearchIndex, queries: Sequence[Query]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return the peers' searches over the same vectors, after comparing their answers and ours with exact ones."""
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

    searches: dict[str, Callable[[np.ndarray], np.ndarray]] = dict(zip(PEERS, (with_numpy, with_faiss), strict=True))
    names = index.names(np.arange(index.sequences))["seq_id"].to_numpy()
    for query in queries:
        vector = vector_of(index, query)
        similarities = exact @ vector
        best = np.lexsort((names, -np.round(similarities, 12)))[:TOP]
        hits = index.by_cosine([query], top_n=TOP, strand="given")[0]
        must_equal("our hits and the most similar vectors", [each.hit.seq_id for each in hits], names[best].tolist())
        for name, search in searches.items():
            away = np.abs(similarities[search(vector.astype(np.float32))] - similarities[best]).max()
            must_equal(f"similarities of {name}'s hits and of ours, to 32 bits", bool(away < 1e-6), True)
    return searches
