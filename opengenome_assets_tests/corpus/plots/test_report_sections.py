"""Sections hold the numbers of the tables."""

import io

import pandas as pd
import pytest

from opengenome_assets.corpus.plots import report_sections
from opengenome_assets.kernels.fasta import read_records, refusals
from opengenome_assets.plots.report_page import ReportTable
from opengenome_assets_tests.corpus.plots.tables import Tables


def _written(table: ReportTable) -> list[list[str]]:
    return [[column.write(cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]


def test_summary_names_the_corpus_at_a_glance(sample: Tables) -> None:
    facts = {fact.label: fact for fact in report_sections.summary(sample.sequence_stats, sample.rejected_records)}
    assert facts["sequences"].value == "29"
    assert (facts["bases"].value, facts["bases"].note) == ("2.23 Mb", "2,229,250")
    assert (facts["sources"].value, facts["sources"].note) == ("3", "mitochondria, plastids, vertebrate_mitochondria")
    assert facts["GC"].value == "36.21 %"
    assert facts["rejected records"].value == "0"


def test_corpus_lists_sources_and_all_last(sample: Tables) -> None:
    (table,) = report_sections.corpus(sample.sequence_stats.iloc[::-1]).tables
    rows = _written(table)
    assert [row[0] for row in rows] == ["mitochondria", "plastids", "vertebrate_mitochondria", "all"]
    assert rows[1][1:4] == ["13", "1,971,102", "37.84 %"]


def test_kmers_stand_by_rank_and_source(sample: Tables) -> None:
    section = report_sections.kmers(sample.kmer_freq, top=3)
    assert len(section.tables) == 3
    assert [column.label for column in section.tables[0].columns] == [
        "Rank",
        "mitochondria",
        "plastids",
        "vertebrate_mitochondria",
        "all",
    ]
    rows = _written(section.tables[0])
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert rows[0][1:3] == ["AATAAA 0.62 %", "TTTTTT 0.35 %"]


def test_codons_are_listed_under_each_meaning(sample: Tables) -> None:
    section = report_sections.codons(sample.codon_rscu, frame=0)
    rows = {(row[0], row[1]): row[2:] for row in _written(section.tables[0])}
    assert len(rows) == 70
    assert rows["ATA", "Ile"][:4] == ["—", "—", "28.74", "1.02"]
    assert rows["ATA", "Met"][2:4] == ["—", "—"]
    assert "genes or not" in section.text
    assert "mitochondria 5, plastids 11, vertebrate_mitochondria 2" in section.text


def test_codons_are_of_genes_first_and_bias_stands_before_them(sample: Tables) -> None:
    row = {"genetic_code": 2, "genes": 15, "open_frames": 15, "codons": 4156, "gc3": 0.47, "gc3s": 0.46}
    bias = pd.DataFrame([{"source": source, **row, "effective_codons": 44.0} for source in ("all", "a")])
    section = report_sections.codons(sample.codon_rscu, bias)
    assert [line[0] for line in _written(section.tables[0])] == ["a", "all"]
    assert _written(section.tables[0])[0][1:] == ["2", "15", "15", "4,156", "47.00 %", "46.00 %", "44.00"]
    assert section.tables[1].caption.startswith("Codon usage in genes")
    assert "spliced genes are not found" in section.text
    genes = sample.codon_rscu.query("basis == 'genes' and source == 'plastids' and codon == 'ATA'")
    rows = {(row[0], row[1]): row[2:] for row in _written(section.tables[1])}
    assert rows["ATA", "Ile"][2] == f"{genes['per_thousand'].item():.2f}"


def test_rejected_records_are_counted_by_kind_and_the_first_shown() -> None:
    refused = [("empty sequence", "empty sequence")] * 4 + [("illegal letter '*'", "illegal letter '*' at base 1")] * 26
    counts, first = report_sections.rejected(_refused(refused)).tables
    assert _written(counts) == [["illegal letter '*'", "26"], ["empty sequence", "4"]]
    rows = _written(first)
    assert [row[2] for row in rows] == [str(number) for number in range(1, 21)]
    assert len(rows[0][4]) == 120
    assert first.caption == "The first 20 of 30."


def _refused(refused: list[tuple[str, str]]) -> pd.DataFrame:
    """Refused records of one file by kind and reason, the last one first."""
    return pd.DataFrame(
        {
            "source": "a",
            "file": "a.fa",
            "record": range(len(refused), 0, -1),
            "line": range(2 * len(refused), 0, -2),
            "header": ["h" * 500] * len(refused),
            "kind": [kind for kind, _ in refused],
            "reason": [reason for _, reason in refused],
        }
    )


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (">{0}\n" + "A" * 20 + "{1}*\n", "illegal letter '*'"),
        (">{0}\n{1}ACU\n", "illegal letter 'U'"),
        (">{0}\n" + "A" * 80 + "{1}\n", "too long"),
        (">{0}\n", "empty sequence"),
        (">\n{1}\n", "no identifier"),
    ],
)
def test_reasons_that_differ_only_in_a_place_or_length_are_one_kind(record: str, kind: str) -> None:
    text = "".join(record.format(number, "A" * number) for number in range(1, 30)).encode()
    (batch,) = read_records(io.BytesIO(text).readinto, name="x.fa", max_length=50)
    (kinds, _) = report_sections.rejected(_refused(list(refusals(batch).values()))).tables
    assert _written(kinds) == [[kind, "29"]]


def test_a_long_reason_is_shown_by_its_beginning_and_its_end() -> None:
    reason = f"identifier {'x' * 100_000!r} stands on an earlier record of this file; expected unique identifiers"
    _, first = report_sections.rejected(_refused([("repeated identifier", reason)])).tables
    shown = _written(first)[0][5]
    assert len(shown) == 240
    assert shown.endswith("expected unique identifiers")


def test_the_most_frequent_kinds_are_listed_and_the_others_counted() -> None:
    refused = [
        (f"illegal letter {chr(65 + kind)!r}", f"at base {n} (line 2)") for kind in range(26) for n in range(kind + 1)
    ]
    kinds, _ = report_sections.rejected(_refused(refused)).tables
    rows = _written(kinds)
    assert [rows[0], rows[-1], len(rows)] == [["illegal letter 'Z'", "26"], ["illegal letter 'G'", "7"], 20]
    assert kinds.caption == "Rejected records by kind, the 20 most frequent; 6 more with 21 records."


def test_a_corpus_without_a_sequence_is_summed_up(sample: Tables) -> None:
    facts = report_sections.summary(sample.sequence_stats.head(0), _refused([("empty sequence", "empty sequence")]))
    assert [(fact.label, fact.value) for fact in facts] == [
        ("sequences", "0"),
        ("bases", "0 bp"),
        ("sources", "0"),
        ("GC", "—"),
        ("rejected records", "1"),
    ]
    (table,) = report_sections.corpus(sample.sequence_stats.head(0)).tables
    assert table.rows == []
    assert "(no sources)" in report_sections.codons(sample.codon_rscu.head(0)).text


def test_no_rejected_record_is_said_in_words(sample: Tables) -> None:
    section = report_sections.rejected(sample.rejected_records)
    assert not section.tables
    assert "every record of every file was accepted" in section.text
