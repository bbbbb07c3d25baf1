"""Reading what somebody pasted, and saying what is wrong with it."""

import pytest

from opengenome_assets.search import Query, QueryError, read_queries


@pytest.mark.parametrize(
    "text",
    ["acgtnryACGT", "  acgtn\nryAC\r\nGT\n\n", b"acgtnryacgt", "ACGT NRY ACGT"],
)
def test_a_bare_sequence(text: str | bytes) -> None:
    assert read_queries(text) == [Query("query", b"ACGTNRYACGT")]


@pytest.mark.parametrize("text", ["ACGTACGT", ">query\nACGT\n"])
def test_a_byte_order_mark_of_utf8_is_no_letter(text: str) -> None:
    assert read_queries(text.encode("utf-8-sig")) == read_queries("\ufeff" + text) == read_queries(text)


def test_fasta_of_several_records() -> None:
    found = read_queries("\n>a first one\nACGT\nac\n\n>b\r\nNNNN\r\n")
    assert found == [Query("a", b"ACGTAC"), Query("b", b"NNNN")]


def test_sequence_lines_of_fasta_may_have_blanks_in_them() -> None:
    found = read_queries(">a b\tc\n ACGT ac\tgt \r\n\n  \nNN NN\nTT\n>d e f\nAC GT")
    assert found == [Query("a", b"ACGTACGTNNNNTT"), Query("d", b"ACGT")]
    with pytest.raises(QueryError, match=r"query a: illegal letter 'X' at base 7 \(line 3\)"):
        read_queries(">a\nAC GT\nA C X\n")
    with pytest.raises(QueryError, match=r"query a: illegal letter ' '"):  # a header, and not a line of letters
        read_queries(">a\nACGT\n >b c\nACGT\n")


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
        (b"\xff\xfeA\x00", "expected text in ASCII or UTF-8, found UTF-16; save it as UTF-8 first"),
        (">a\nACGT".encode("utf-16-be"), "illegal letter"),
        ("@read\nACGT\n+\nIIII\n", "found '@' at the start, as in FASTQ; convert it first: sed"),
    ],
)
def test_what_is_no_query_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        read_queries(text)
