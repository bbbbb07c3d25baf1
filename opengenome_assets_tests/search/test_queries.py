"""Reading what somebody pasted, and saying what is wrong with it."""

import pytest

from opengenome_assets.search import Query, QueryError, read_queries


@pytest.mark.parametrize(
    "text",
    ["acgtnryACGT", "  acgtn\nryAC\r\nGT\n\n", b"acgtnryacgt", "ACGT NRY ACGT"],
)
def test_a_bare_sequence(text: str | bytes) -> None:
    assert read_queries(text) == [Query("query", b"ACGTNRYACGT")]


def test_fasta_of_several_records() -> None:
    found = read_queries("\n>a first one\nACGT\nac\n\n>b\r\nNNNN\r\n")
    assert found == [Query("a", b"ACGTAC"), Query("b", b"NNNN")]


def test_many_records_and_long_ones() -> None:
    text = "".join(f">s{number}\n{'ACGTTGCA' * 5000}\n" for number in range(500))
    found = read_queries(text)
    assert [query.name for query in found] == [f"s{number}" for number in range(500)]
    assert {query.sequence for query in found} == {b"ACGTTGCA" * 5000}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a sequence or FASTA, found nothing"),
        (" \n\t\n", "expected a sequence or FASTA, found nothing"),
        ("ACGT\nACXGT", r"the query: illegal letter 'X' at base 7 \(line 2\); expected IUPAC DNA letters"),
        (">a\nACGT\nACXGT", r"query a: illegal letter 'X' at base 7 \(line 3\)"),
        ("ACGU", r"illegal letter 'U' at base 4 \(line 1\): U is RNA; convert U to T first"),
        (">a\n>b\nACGT", "query a: empty sequence"),
        (">\nACGT", "record 1: no identifier after >"),
        (">a\rACGT\r", "line ends are CR only"),
        (b"\xff\xfeA\x00", "illegal letter"),
    ],
)
def test_what_is_no_query_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        read_queries(text)
