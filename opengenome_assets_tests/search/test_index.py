"""The index against scikit-learn on the same sequences, and how it follows the table's versions."""

import os
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from opengenome_assets.kernels.bases import kmer_strings
from opengenome_assets.search import Hit, Query, QueryError, SearchIndex
from opengenome_assets.search.index import UnknownSequenceError, UnknownSourceError
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets_tests.kernels.texts import sample
from opengenome_assets_tests.search.corpora import fasta, make_corpus

COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


def reverse_complement(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


def letters(count: int, seed: int, alphabet: str = "ACGT") -> str:
    return "".join(random.Random(seed).choices(alphabet, k=count))


def corpus() -> dict[str, dict[str, str]]:
    """Real genomes, short and long, with ambiguous letters and without any 6-mer; two of one content; by source."""
    genomes = {"mitochondria": sample("mitochondria"), "plastids": sample("plastids")}
    families = {f"f{number} of a family": letters(900, 7)[: 300 + 40 * number] for number in range(12)}
    odd = {
        "tooshort": "ACGTA",
        "ambiguous": "ACGTANCGTNACGTRNACGNT",
        "twin2 the second": letters(500, 1),
        "twin1 the first": letters(500, 1),
        "longer": letters(500, 1) * 2,
        "poly": "A" * 5000,
        "mixed": letters(3000, 3) + "N" * 100 + letters(3000, 4, "ACGTRY"),
        "genome": "".join(letters(20_000, seed) for seed in range(20, 35)),
    }
    return {**genomes, "odd": {**families, **odd}, "huge": {"poly million": "AC" * 300_000 + letters(100_000, 9)}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    make_corpus(folder, {f"{source}/{source}.fasta": fasta(entries) for source, entries in corpus().items()})
    return folder


@pytest.fixture(scope="module")
def index(home: Path) -> SearchIndex:
    return SearchIndex.open(str(home))


class Peer:
    """What scikit-learn says."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        rows = [(source, header, text) for source, entries in corpus().items() for header, text in entries.items()]
        self.names = [(source, header.split()[0]) for source, header, _ in rows]
        vectorizer = TfidfVectorizer(
            analyzer="char", ngram_range=(6, 6), lowercase=False, vocabulary=kmer_strings(6).tolist()
        )
        self.matrix = vectorizer.fit_transform([text.upper() for _, _, text in rows])
        self.vectorizer = vectorizer

    def similarities(self, query: str) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = (self.matrix @ self.vectorizer.transform([query]).T).toarray().ravel()
        return found

    def ranked(self, similarities: npt.NDArray[np.float64], source: str | None = None) -> list[tuple[str, str, float]]:
        """Names and similarities in order; equal ones, but for the last bits, by name."""
        rows = [
            (source_, name, float(similarity))
            for (source_, name), similarity in zip(self.names, similarities, strict=True)
            if similarity > 0 and source in (None, source_)
        ]
        return sorted(rows, key=lambda row: (-round(row[2], 10), row[1]))


@pytest.fixture(scope="module")
def peer() -> Peer:
    return Peer()


def assert_equal(hits: Sequence[Hit], expected: Sequence[tuple[str, str, float]]) -> None:
    assert [(hit.source, hit.seq_id) for hit in hits] == [row[:2] for row in expected]
    np.testing.assert_allclose([hit.similarity for hit in hits], [row[2] for row in expected], rtol=0, atol=1e-9)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))


GENOME = next(iter(sample("plastids").values()))
QUERIES = {
    "30 bases": letters(30, 41),
    "a piece of a genome": GENOME[10_000:10_400],
    "a whole genome": GENOME,
    "200,000 bases": GENOME + letters(200_000 - len(GENOME), 42),
    "ambiguous letters": letters(400, 43, "ACGTACGTACGTN"),
    "the family": letters(900, 7),
    "one 6-mer": "NACGTACN",
    "only repeats": "A" * 400,
}


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.peer
def test_ranks_and_similarities_are_those_of_scikit_learn(index: SearchIndex, peer: Peer, name: str) -> None:
    query = QUERIES[name]
    expected = peer.ranked(peer.similarities(query))
    everything, few = (
        index.similar([Query("q", query.encode())] * 2, top_n=10**6, strand="given"),
        index.similar([Query("q", query.encode())], top_n=7, strand="given"),
    )
    assert_equal(everything[0], expected)
    assert everything[0] == everything[1]
    assert_equal(few[0], expected[:7])


@pytest.mark.slow
def test_several_queries_at_once_are_each_answered(index: SearchIndex, peer: Peer) -> None:
    queries = [letters(30 + 17 * number, number) for number in range(40)]
    answers = index.similar(
        [Query(str(number), text.encode()) for number, text in enumerate(queries)], top_n=5, strand="given"
    )
    for query, hits in zip(queries, answers, strict=True):
        assert_equal(hits, peer.ranked(peer.similarities(query))[:5])


def test_ties_rank_by_name_and_what_holds_a_sequence_twice_comes_close(index: SearchIndex) -> None:
    hits = index.similar([Query("q", letters(500, 1).encode())], top_n=3)[0]
    assert [(hit.seq_id, hit.similarity) for hit in hits[:2]] == [("twin1", 1.0), ("twin2", 1.0)]
    assert hits[2].seq_id == "longer"
    assert 0.99 < hits[2].similarity < 1


@pytest.mark.long
def test_only_one_source(index: SearchIndex, peer: Peer) -> None:
    query = QUERIES["a piece of a genome"]
    hits = index.similar([Query("q", query.encode())], source="mitochondria", top_n=4, strand="given")[0]
    assert_equal(hits, peer.ranked(peer.similarities(query), "mitochondria")[:4])
    assert index.sources == ("huge", "mitochondria", "odd", "plastids")
    with pytest.raises(UnknownSourceError, match="no source is called 'nowhere'; there are huge, mitochondria, odd"):
        index.similar([Query("q", query.encode())], source="nowhere")


def test_no_hits_below_the_threshold(index: SearchIndex, peer: Peer) -> None:
    query = QUERIES["the family"]
    expected = peer.ranked(peer.similarities(query))
    least = round(expected[5][2], 12)
    own = index.similar([Query("q", query.encode())], threshold=least, top_n=100, strand="given")[0]
    assert_equal(own, expected[:6])
    assert index.similar([Query("q", query.encode())], threshold=1.0, top_n=100)[0] == []


def test_the_better_strand_of_each_sequence_counts(index: SearchIndex, peer: Peer) -> None:
    query = reverse_complement(QUERIES["a piece of a genome"])
    forward, backward = peer.similarities(query), peer.similarities(reverse_complement(query))
    hits = [found.hit for found in index.by_cosine([Query("q", query.encode())], top_n=10**6)[0]]
    assert_equal(hits, peer.ranked(np.maximum(forward, backward)))
    better = dict(zip(peer.names, np.where(backward > forward, "-", "+").tolist(), strict=True))
    assert all(hit.strand == better[hit.source, hit.seq_id] for hit in hits)
    assert {hit.strand for hit in hits} == {"+", "-"}
    assert hits[0].strand == "-"
    assert_equal(
        index.similar([Query("q", query.encode())], top_n=10**6)[0], peer.ranked(np.maximum(forward, backward))
    )


def test_a_hit_says_which_sequence_it_is(index: SearchIndex) -> None:
    hit = index.similar([Query("q", b"ACAC" * 10)], top_n=1)[0][0]
    assert hit == Hit(
        rank=1,
        seq_id="poly",
        source="huge",
        file="huge/huge.fasta",
        similarity=hit.similarity,
        length=700_000,
        description="million",
        strand=hit.strand,
        containment=1.0,
        identity=1.0,
        k=19,
    )
    assert hit.strand == "+"


@pytest.mark.long
def test_what_a_hit_shares_with_the_query(index: SearchIndex, peer: Peer) -> None:
    query = Query("q", reverse_complement(QUERIES["a piece of a genome"]).encode())
    hit = index.similar([query], top_n=1)[0][0]
    told = index.explain(query, hit, most=8)
    assert told.strand == "-"
    assert index.explain(query, hit, strand="given").strand == "+"
    assert np.linalg.norm(told.query_profile) == pytest.approx(1)
    assert np.linalg.norm(told.hit_profile) == pytest.approx(1)
    assert told.query_profile @ told.hit_profile == pytest.approx(hit.similarity)
    text, own = corpus()[hit.source], reverse_complement(query.sequence.decode())
    (sequence,) = (text[header] for header in text if header.split()[0] == hit.seq_id)
    for term in told.terms:
        for held, count in ((own, term.query_count), (sequence, term.hit_count)):
            assert count == sum(held.startswith(term.kmer, place) for place in range(len(held)))
    shares = [term.share for term in told.terms]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 8
    assert {type(share) for share in shares} == {float}
    everything = index.explain(query, hit, most=5000)
    assert sum(term.share for term in everything.terms) == pytest.approx(1)
    assert len(everything.terms) == everything.shared
    with pytest.raises(UnknownSequenceError, match="no sequence gone, source odd"):
        index.row("gone", "odd")


@pytest.mark.parametrize("sequence", [b"", b"ACGTA", b"ACGTANCGTAC", b"NNNNNNNN"])
def test_queries_without_a_6_mer_are_refused(index: SearchIndex, sequence: bytes) -> None:
    with pytest.raises(QueryError, match="query b: no 6 letters in a row are all A, C, G or T"):
        index.similar([Query("a", b"ACGTACGT"), Query("b", sequence)])


def test_arguments_out_of_range_are_refused(index: SearchIndex) -> None:
    query = [Query("q", b"ACGTACGT")]
    with pytest.raises(ValueError, match="top_n of at least 1, found 0"):
        index.similar(query, top_n=0)
    with pytest.raises(ValueError, match=r"threshold from 0 to 1, found 1\.5"):
        index.similar(query, threshold=1.5)
    with pytest.raises(ValueError, match="threshold from 0 to 1, found nan"):
        index.similar(query, threshold=float("nan"))
    with pytest.raises(ValueError, match="strand to be both or given, found '-'"):
        index.similar(query, strand="-")
    with pytest.raises(ValueError, match="sort to be similarity or containment, found 'identity'"):
        index.similar(query, sort="identity")
    assert index.similar([]) == []


def test_text_is_no_query(index: SearchIndex) -> None:
    message = r"expected queries, as read_queries\(text\) returns them, found str '"
    with pytest.raises(TypeError, match=message):
        index.similar("ACGTACGT")
    (hit,) = index.similar([Query("q", b"ACGTACGT")], top_n=1)[0]
    with pytest.raises(TypeError, match=message):
        index.explain("ACGTACGT", hit)


@pytest.mark.long
def test_many_threads_get_the_same_answers(index: SearchIndex) -> None:
    queries = [Query(str(number), letters(200, number).encode()) for number in range(50)]
    alone = [index.similar([query]) for query in queries]
    with ThreadPoolExecutor(50) as clients:
        together = list(clients.map(lambda query: index.similar([query]), queries))
    assert together == alone


def test_threads_that_score_have_a_cpu_each_if_there_are_as_many_and_no_other_thread_is_bound(tmp_path: Path) -> None:
    make_corpus(tmp_path, {"a/a.fasta": fasta({"a1": letters(400, 1)})})
    cpus = os.sched_getaffinity(0)

    def bound_to(threads: int, pool_of: str = "_scorers") -> list[set[int]]:
        pool = getattr(SearchIndex.open(str(tmp_path), threads=threads), pool_of)
        met = threading.Barrier(threads)  # so that each thread tells once

        def told() -> set[int]:
            met.wait(60)
            return os.sched_getaffinity(0)

        return [each.result() for each in [pool.submit(told) for _ in range(threads)]]

    assert sorted(min(one) for one in bound_to(len(cpus))) == sorted(cpus)
    assert all(len(one) == 1 for one in bound_to(len(cpus)))
    assert bound_to(len(cpus) + 1) == [cpus] * (len(cpus) + 1)
    assert bound_to(len(cpus), "_readers") == [cpus] * len(cpus)
    assert os.sched_getaffinity(0) == cpus


def test_an_index_opened_with_the_one_before_equals_one_opened_alone(tmp_path: Path) -> None:
    first = {"a/a.fasta": fasta({"a1": letters(400, 1)}), "b/b.fasta": fasta({"b1": letters(400, 2)})}
    make_corpus(tmp_path, first)
    old = SearchIndex.open(str(tmp_path))
    before = old.similar([Query("q", letters(400, 2).encode())])
    make_corpus(tmp_path, {**first, "b/b.fasta": fasta({"b2": letters(400, 3), "b3": letters(90, 4)})})
    assert not old.is_current()
    new, alone = SearchIndex.open(str(tmp_path), previous=old), SearchIndex.open(str(tmp_path))
    assert (new.version, new.sequences, new.is_current()) == (1, 3, True)
    query = [Query("q", letters(300, 3).encode())]
    assert new.similar(query) == alone.similar(query)
    assert new.similar(query)[0][0].seq_id == "b2"
    assert old.similar([Query("q", letters(400, 2).encode())]) == before  # the old one goes on as it was
    again = SearchIndex.open(str(tmp_path), version=0)
    assert again.similar([Query("q", letters(400, 2).encode())]) == before
    assert again.data_version == old.data_version != new.data_version


def test_packed_tables_are_searched_the_same(tmp_path: Path) -> None:
    files = {f"s/{number}.fasta": fasta({f"r{number}": letters(300, number)}) for number in range(5)}
    tables = make_corpus(tmp_path, files)
    query = [Query("q", letters(300, 3).encode())]
    loose = SearchIndex.open(str(tmp_path))
    assert tables.table("tfidf_index").compact(PackSizes(1 << 20, 1 << 24, 64)).parts_packed == 5
    packed = SearchIndex.open(str(tmp_path))
    assert packed.version == loose.version
    assert packed.similar(query) == loose.similar(query)


def test_an_index_of_nothing_finds_nothing(tmp_path: Path) -> None:
    make_corpus(tmp_path, {"a/a.fasta": ">x\n\n"})
    index = SearchIndex.open(str(tmp_path))
    assert (index.sequences, index.sources) == (0, ())
    assert index.similar([Query("q", b"ACGTACGT")]) == [[]]


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(MissingTableError, match="tfidf_index has not been made yet"):
        SearchIndex.open(str(tmp_path))
    tables = make_corpus(tmp_path, {"a/a.fasta": fasta({"a": letters(400, 1)})})
    with pytest.raises(MissingVersionError, match="tfidf_index has no version 3"):
        SearchIndex.open(str(tmp_path), version=3)
    (file,) = Path(tables.table("tfidf_index").uri).glob("*/*.parquet")
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedFileError, match="is damaged or missing"):
        SearchIndex.open(str(tmp_path))
