"""Containment of queries in the hits of the sample: against sets of strings, and what it says that a cosine cannot."""

import random
import shutil
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from opengenome_assets.kernels.containment import specific_k
from opengenome_assets.search import Hit, Query, QueryError, SearchIndex, containment
from opengenome_assets.search.options import CANDIDATES
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.parquet import file as parquet
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.seals import DamagedTableError
from opengenome_assets.storage.snapshot import MissingTableError
from opengenome_assets_tests.kernels.texts import random_bases, sample, windows
from opengenome_assets_tests.search.corpora import fasta, make_corpus

SOURCES = ("mitochondria", "plastids", "vertebrate_mitochondria")
HUMAN = "NC_012920.1"
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def reverse_complement(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


def query(sequence: str, name: str = "q") -> Query:
    return Query(name, sequence.encode())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, in pages of a few sequences."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "write_pages", partial(parquet.write_pages, page_bytes=40_000))
        make_corpus(folder, {f"{source}/{source}.fasta": fasta(sample(source)) for source in SOURCES})
    return folder


@pytest.fixture(scope="module")
def index(home: Path) -> SearchIndex:
    return SearchIndex.open(str(home))


@pytest.fixture(scope="module")
def genomes() -> dict[str, str]:
    return {name: sequence for source in SOURCES for name, sequence in sample(source).items()}


def test_the_reverse_complement_of_a_piece_of_human_mtdna_finds_its_genome_first(
    index: SearchIndex, genomes: dict[str, str]
) -> None:
    piece = genomes[HUMAN][2000:3500]
    for sequence, strand in ((piece, "+"), (reverse_complement(piece), "-")):
        hits = index.similar([query(sequence)], top_n=29)[0]
        assert (hits[0].seq_id, hits[0].strand) == (HUMAN, strand)
        assert (hits[0].containment, hits[0].identity, hits[0].k) == (1.0, 1.0, 21)
        plastids = [hit for hit in hits if hit.source == "plastids"]
        assert len(plastids) == 13
        assert max(hit.containment or 0 for hit in plastids) < 0.02
        assert plastids[0].similarity > 0.3  # which a reader could take for a relative
    (as_given,) = index.similar([query(reverse_complement(piece))], top_n=29, strand="given")
    place, own = next((hit.rank, hit) for hit in as_given if hit.seq_id == HUMAN)
    assert place > 10
    assert (own.containment, own.identity, own.strand) == (0.0, None, "+")


@cache
def kmers(sequence: str, k: int, both_strands: bool) -> frozenset[str]:
    """The distinct k-mers, with both strands the smaller of each and its reverse complement."""
    found = {kmer for _, kmer in windows(sequence.encode(), k)}
    return frozenset(min(kmer, reverse_complement(kmer)) if both_strands else kmer for kmer in found)


def twin(query: str, sequence: str, both_strands: bool) -> float | None:
    """Containment by sets of strings."""
    k = specific_k(len(query))
    own, held = (kmers(text, k, both_strands) for text in (query, sequence))
    return len(own & held) / len(own) if own else None


@pytest.mark.slow
@pytest.mark.parametrize(("strand", "letters"), [("both", 100), ("both", 2_000_000), ("given", 2_000_000)])
def test_containment_is_that_of_sets_of_strings(
    strand: str, letters: int, index: SearchIndex, genomes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containment, "_LETTERS", letters)  # one query at a time, and all at once
    names = list(genomes)
    first, last = genomes[names[0]], genomes[names[-1]]
    made = [
        first[500:700] + reverse_complement(last[1000:1300]),
        "N".join([last[70_000:70_030], first[900:950], "ACGT"]),
        random_bases(np.random.default_rng(3), 800).decode(),
        first[:16],
        reverse_complement(first),
    ]
    found = index.similar([query(text, str(place)) for place, text in enumerate(made)], top_n=29, strand=strand)
    for text, hits in zip(made, found, strict=True):
        for hit in hits[::14]:
            assert hit.containment == twin(text, genomes[hit.seq_id], strand == "both")
            assert hit.k == specific_k(len(text))
    assert found[3][0].containment is None  # 16 letters have no 17-mer


def test_the_strand_is_that_of_the_kmers_where_the_cosine_is_wrong(index: SearchIndex, genomes: dict[str, str]) -> None:
    chosen = random.Random(1)
    asked: dict[str, tuple[Query, str]] = {}
    for place, (name, genome) in enumerate(genomes.items()):
        start = chosen.randrange(len(genome) - 500)
        piece = genome[start : start + 500]
        if reverse_complement(piece) not in genome:  # as pieces of a plastid's inverted repeats are
            strand = "+-"[place % 2]
            asked[name] = query(piece if strand == "+" else reverse_complement(piece)), strand
    queries = [each for each, _ in asked.values()]
    by_cosine = [[found.hit for found in some] for some in index.by_cosine(queries, top_n=29)]

    def right(found: list[list[Hit]]) -> int:
        own = [next(hit for hit in some if hit.seq_id == name) for some, name in zip(found, asked, strict=True)]
        return sum(hit.strand == strand for hit, (_, strand) in zip(own, asked.values(), strict=True))

    assert right(by_cosine) < len(asked)
    assert right(index.similar(queries, top_n=29)) == len(asked) > 20


def test_a_sequence_that_holds_both_strands_holds_the_query_as_given(
    index: SearchIndex, genomes: dict[str, str]
) -> None:
    genome = genomes["NC_020152.1"]
    repeat = next(
        genome[start : start + 500]
        for start in range(0, len(genome), 500)
        if reverse_complement(genome[start : start + 500]) in genome
    )
    for sequence in (repeat, reverse_complement(repeat)):
        (hit,) = (hit for hit in index.similar([query(sequence)], top_n=29)[0] if hit.seq_id == "NC_020152.1")
        assert (hit.strand, hit.containment) == ("+", 1.0)


def test_hits_can_be_sorted_by_containment(index: SearchIndex, genomes: dict[str, str]) -> None:
    genome = genomes["NC_020152.1"]
    # A piece that a cosine finds more similar to other genomes than to its own.
    start = next(
        start
        for start in range(0, 60_000, 700)
        if index.by_cosine([query(genome[start : start + 400])])[0][0].hit.seq_id != "NC_020152.1"
    )
    piece = query(genome[start : start + 400])
    (hits,) = index.similar([piece], top_n=5, sort="containment")
    assert (hits[0].seq_id, hits[0].containment, hits[0].rank) == ("NC_020152.1", 1.0, 1)
    (everything,) = index.similar([piece], top_n=29)
    expected = sorted(everything, key=lambda hit: (-(hit.containment or 0), -hit.similarity))
    assert [hit.seq_id for hit in hits] == [hit.seq_id for hit in expected[:5]]
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]


def test_only_the_most_similar_are_sorted_by_containment(index: SearchIndex, genomes: dict[str, str]) -> None:
    (hits,) = index.similar([query(genomes[HUMAN][:600])], top_n=2, sort="containment")
    (similar,) = index.by_cosine([query(genomes[HUMAN][:600])], top_n=2 * CANDIDATES)
    assert {hit.seq_id for hit in hits} <= {found.hit.seq_id for found in similar}
    (short,) = index.similar([query("ACGTACGTAC")], top_n=29, sort="containment")
    assert {hit.containment for hit in short} == {None}  # so that similarity is left to sort by
    assert [hit.similarity for hit in short] == sorted((hit.similarity for hit in short), reverse=True)


def test_hits_that_are_read_are_bounded_over_all_queries(index: SearchIndex, genomes: dict[str, str]) -> None:
    two = [query(genome[:1000]) for genome in list(genomes.values())[:2]]
    assert all(len(hits) <= 3 for hits in index.similar(two, top_n=3, max_comparisons=6))
    with pytest.raises(QueryError, match=r"at most 5 hits over all queries.*found 2 queries with up to 3 hits each"):
        index.similar(two, top_n=3, max_comparisons=5)
    with pytest.raises(QueryError, match=f"up to {min(30, index.sequences)} hits each"):
        index.similar(two, top_n=3, sort="containment", max_comparisons=6)


def test_packed_sequences_give_the_same(tmp_path: Path) -> None:
    genomes = {**sample("vertebrate_mitochondria"), **dict(list(sample("mitochondria").items())[:3])}
    files = {f"s/{number}.fasta": fasta({name: text}) for number, (name, text) in enumerate(genomes.items())}
    tables = make_corpus(tmp_path, files)
    asked = [query(next(iter(genomes.values()))[300:900])]
    loose = SearchIndex.open(str(tmp_path)).similar(asked)
    assert tables.table("sequence_shards").compact(PackSizes(1 << 20, 1 << 24, 64)).parts_packed == 4
    assert SearchIndex.open(str(tmp_path)).similar(asked) == loose
    assert loose[0][0].containment == 1.0


def test_sequences_that_cannot_be_read_are_an_error_that_names_them(home: Path, tmp_path: Path) -> None:
    asked = [query(next(iter(sample("mitochondria").values()))[300:900])]
    folder = Path(shutil.copytree(home, tmp_path / "home"))
    tables = folder / "tables" / "sequence_shards"
    index = SearchIndex.open(str(folder))
    index._indexed._files = {}
    with pytest.raises(DamagedTableError, match="was made from no shard of version 0 of sequence_shards"):
        index.similar(asked)
    for file in tables.glob("*/*.parquet"):
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DamagedFileError, match="is damaged or missing"):
        SearchIndex.open(str(folder)).similar(asked)
    shutil.rmtree(tables)
    with pytest.raises(MissingTableError, match="sequence_shards has not been made yet"):
        SearchIndex.open(str(folder)).similar(asked)
    assert SearchIndex.open(str(folder)).by_cosine(asked)[0]
