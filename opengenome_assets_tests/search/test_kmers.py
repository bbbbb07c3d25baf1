"""k-mer search against a look at every place of every sequence, on tables of several files, row groups and versions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.search.index import UnknownSourceError
from opengenome_assets.search.kmers import KmerMatches, Occurrence, find_kmer
from opengenome_assets.search.queries import QueryError
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.parquet import file as parquet
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.parts import Part, PartWriter
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.kernels.texts import random_bases

COMPLEMENT = str.maketrans("ACGT", "TGCA")


@dataclass(frozen=True)
class Record:
    """A sequence of a corpus."""

    source: str
    file: str
    seq_id: str
    sequence: str


def corpus(home: Path, records: Sequence[Record], rows: int = 3) -> Home:
    """Make sequence_shards of records: a part for each file, a row group for each few of its records."""
    tables = Home(str(home))
    parts = []
    for source, file in sorted({(record.source, record.file) for record in records}):
        of_file = [record for record in records if (record.source, record.file) == (source, file)]
        parts.append(part(tables.table("sequence_shards").uri, of_file, rows))
    content = digest([vars(record) for record in records])
    provenance = Provenance(name="sequence_shards", code_version="1", settings={"content": content})
    tables.table("sequence_shards").commit(SEQUENCE_SHARDS.schema, parts, provenance)
    return tables


def part(uri: str, records: Sequence[Record], rows: int) -> Part:
    """Write one part."""
    with PartWriter(uri, digest([vars(record) for record in records]), SEQUENCE_SHARDS.schema) as writer:
        for first in range(0, len(records), rows):
            values = [
                {**vars(record), "description": f"{record.seq_id} of {record.source}", "length": len(record.sequence)}
                for record in records[first : first + rows]
            ]
            writer.write(pa.Table.from_pylist(values, SEQUENCE_SHARDS.schema))
        return writer.finish(source=records[0].source)


def starts(sequence: str, kmer: str) -> list[int]:
    return [start for start in range(len(sequence)) if sequence.startswith(kmer, start)]


def expected(
    records: Sequence[Record], kmer: str, *, strand: str = "given", min_count: int = 1, source: str | None = None
) -> list[tuple[str, str, str, int, int, list[Occurrence]]]:
    """What a search should find, in order; from every place of every sequence."""
    reverse = kmer[::-1].translate(COMPLEMENT)
    found = []
    for record in records:
        forward = [Occurrence(start, "+") for start in starts(record.sequence, kmer)]
        # One that is its own reverse complement stands on both strands at one place.
        other = strand == "both" and reverse != kmer
        backward = [Occurrence(start, "-") for start in starts(record.sequence, reverse)] if other else []
        places = sorted(forward + backward, key=lambda place: (place.start, place.strand))
        if len(places) >= min_count and source in (None, record.source):
            found.append((record.seq_id, record.source, record.file, len(places), len(backward), places))
    return sorted(found, key=lambda hit: (-hit[3], *hit[:3]))


def told(matches: KmerMatches) -> list[tuple[Any, ...]]:
    return [(hit.seq_id, hit.source, hit.file, hit.count, hit.reverse, list(hit.occurrences)) for hit in matches.hits]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Sequences of many lengths in three files of two sources; names that need a second look to be told apart."""
    rng = np.random.default_rng(31)
    made = []
    for source, file, letters in (
        ("genes", "a.fasta", b"ACGT"),
        ("genes", "b.fasta", b"AACCGGTTN"),
        ("windows", "a.fasta", b"AAAT"),
    ):
        for number in range(11):
            sequence = random_bases(rng, int(rng.integers(0, 2500)), letters).decode()
            made.append(Record(source, file, f"S{number % 7}.{number // 7}", sequence))
    return made


@pytest.fixture(scope="module")
def home(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.MonkeyPatch.context() as patch:  # row groups of several pages
        patch.setattr(parquet, "write_pages", partial(parquet.write_pages, page_bytes=2000))
        return corpus(tmp_path_factory.mktemp("kmers"), records).uri


@pytest.mark.long
@settings(max_examples=share(80))
@given(
    kmer=st.text("ACGT", min_size=1, max_size=7),
    strand=st.sampled_from(["both", "given"]),
    min_count=st.integers(1, 40),
    source=st.sampled_from([None, "genes", "windows"]),
    limit=st.sampled_from([None, 0, 1, 4, 100]),
    positions=st.sampled_from([0, 1, 3, 10_000]),
    threads=st.sampled_from([1, 3]),
)
def test_hits_and_totals_are_those_of_a_look_at_every_place(
    records: list[Record],
    home: str,
    kmer: str,
    strand: str,
    min_count: int,
    source: str | None,
    limit: int | None,
    positions: int,
    threads: int,
) -> None:
    matches = find_kmer(
        kmer.lower(),
        home=home,
        source=source,
        strand=strand,
        min_count=min_count,
        limit=limit,
        positions=positions,
        threads=threads,
    )
    all_hits = expected(records, kmer, strand=strand, min_count=min_count, source=source)
    assert told(matches) == [(*hit[:5], hit[5][:positions]) for hit in all_hits[:limit]]
    looked_at = [record for record in records if source in (None, record.source)]
    assert matches.sequences == len(all_hits)
    assert matches.occurrences == sum(hit[3] for hit in all_hits)
    assert matches.sequences_searched == len(looked_at)
    assert matches.bases_searched == sum(len(record.sequence) for record in looked_at)
    assert (matches.kmer, matches.source, matches.strand) == (kmer, source, strand)


@pytest.mark.parametrize("k", [8, 15, 16, 17, 30, 31])
def test_long_kmers_are_found_on_either_strand(k: int, records: list[Record], home: str) -> None:
    record = max(records[:11], key=lambda record: len(record.sequence))
    kmer = record.sequence[500 : 500 + k]
    for searched in (kmer, kmer[::-1].translate(COMPLEMENT)):
        matches = find_kmer(searched, home=home, strand="both", positions=99)
        assert told(matches) == expected(records, searched, strand="both")
        (hit,) = [hit for hit in matches.hits if hit.seq_id == record.seq_id and hit.file == record.file]
        assert Occurrence(500, "+" if searched == kmer else "-") in hit.occurrences
        assert (hit.description, hit.length) == (f"{hit.seq_id} of genes", len(record.sequence))


def test_a_palindrome_counts_once(tmp_path: Path) -> None:
    corpus(tmp_path, [Record("s", "f", "one", "GAATTCGAATTC")])
    for strand in ("given", "both"):
        (hit,) = find_kmer("GAATTC", home=str(tmp_path), strand=strand, positions=9).hits
        assert (hit.count, hit.reverse) == (2, 0)
        assert hit.occurrences == (Occurrence(0, "+"), Occurrence(6, "+"))


def test_occurrences_may_overlap_and_the_strands_add_up(tmp_path: Path) -> None:
    corpus(tmp_path, [Record("s", "f", "one", "AAAANTTTTT")])
    (hit,) = find_kmer("AAA", home=str(tmp_path), strand="both", positions=4).hits
    assert (hit.count, hit.reverse) == (5, 3)
    assert hit.occurrences == (Occurrence(0, "+"), Occurrence(1, "+"), Occurrence(5, "-"), Occurrence(6, "-"))


@pytest.mark.parametrize(
    ("kmer", "message"),
    [
        ("", "the k-mer has 0 letters; expected 1 to 31"),
        ("A" * 32, "the k-mer has 32 letters; expected 1 to 31"),
        ("ACGNA", "letter 4 of the k-mer is 'N'; expected A, C, G or T"),
        ("acgu", r"letter 4 of the k-mer is 'u'; expected A, C, G or T, in either case \(U is RNA: write T for it\)"),
        ("AC GT", "letter 3 of the k-mer is ' '; expected A, C, G or T"),
        ("AC\x00", r"letter 3 of the k-mer is '\\x00'"),
        ("ß", "letter 1 of the k-mer is 'ß'"),
    ],
)
def test_what_is_no_kmer_is_refused_in_words(kmer: str, message: str, home: str) -> None:
    with pytest.raises(QueryError, match=message):
        find_kmer(kmer, home=home)


@pytest.mark.parametrize(("name", "value"), [("min_count", 0), ("limit", -1), ("positions", -1)])
def test_numbers_that_are_too_small_are_refused(name: str, value: int, home: str) -> None:
    with pytest.raises(ValueError, match=f"expected {name} of at least {value + 1}, found {value}"):
        find_kmer("ACG", home=home, **{name: value})


def test_an_unknown_source_is_not_a_search_without_hits(home: str) -> None:
    with pytest.raises(UnknownSourceError, match="no source is called 'gene'; version 0 of sequence_shards has"):
        find_kmer("ACG", home=home, source="gene")
    assert find_kmer("C" * 31, home=home, source="windows").hits == ()


def test_each_version_gives_its_own_sequences_wherever_they_lie(records: list[Record], tmp_path: Path) -> None:
    corpus(tmp_path, records[:11])
    tables = corpus(tmp_path, records)
    found = [find_kmer("ACG", home=str(tmp_path), version=version) for version in (0, 1)]
    assert [matches.sequences_searched for matches in found] == [11, 33]
    assert [matches.version for matches in found] == [0, 1]
    assert [matches.data_version for matches in found] == [
        tables.table("sequence_shards").provenance(version).data_version for version in (0, 1)
    ]
    # Files are put together, which is no other state of the table.
    assert tables.table("sequence_shards").compact(PackSizes(small=10**6, size=10**7, parts=100)).parts_packed == 3
    assert find_kmer("ACG", home=str(tmp_path)) == found[1]
    assert find_kmer("ACG", home=str(tmp_path), version=2) == found[1]
    with pytest.raises(MissingVersionError, match="sequence_shards has no version 7"):
        find_kmer("ACG", home=str(tmp_path), version=7)


def test_without_tables_the_message_says_what_to_make(tmp_path: Path) -> None:
    with pytest.raises(
        MissingTableError,
        match=re.escape("dagster asset materialize -m opengenome_assets.definitions --select '*sequence_shards'"),
    ):
        find_kmer("ACG", home=str(tmp_path))


def test_a_damaged_file_is_named(records: list[Record], tmp_path: Path) -> None:
    tables = corpus(tmp_path, records)
    file = max(Path(tables.table("sequence_shards").uri).rglob("*.parquet"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(DamagedFileError, match=re.escape(str(file))):
        find_kmer("ACG", home=str(tmp_path))
