"""Sections hold the numbers of the tables."""

import pandas as pd

from opengenome_assets.plots import report_sections
from opengenome_assets.plots.report_page import Table
from opengenome_assets_tests.plots.tables import Tables


def _written(table: Table) -> list[list[str]]:
    return [[column.write(cell) for column, cell in zip(table.columns, row, strict=True)] for row in table.rows]


def test_summary_names_the_corpus_at_a_glance(sample: Tables) -> None:
    facts = {fact.label: fact for fact in report_sections.summary(sample.sequence_stats, sample.rejected_records)}
    assert facts["sequences"].value == "29"
    assert (facts["bases"].value, facts["bases"].note) == ("2.23 Mb", "2,229,250")
    assert (facts["sources"].value, facts["sources"].note) == ("2", "mitochondria, plastids")
    assert facts["GC"].value == "36.21 %"
    assert facts["rejected records"].value == "0"


def test_corpus_lists_sources_and_all_last(sample: Tables) -> None:
    (table,) = report_sections.corpus(sample.sequence_stats.iloc[::-1]).tables
    rows = _written(table)
    assert [row[0] for row in rows] == ["mitochondria", "plastids", "all"]
    assert rows[1][1:4] == ["13", "1,971,102", "37.84 %"]


def test_kmers_stand_by_rank_and_source(sample: Tables) -> None:
    section = report_sections.kmers(sample.kmer_freq, top=3)
    assert len(section.tables) == 3
    assert [column.label for column in section.tables[0].columns] == ["Rank", "mitochondria", "plastids", "all"]
    rows = _written(section.tables[0])
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert rows[0][1:3] == ["AATAAA 0.59 %", "TTTTTT 0.35 %"]


def test_codons_are_listed_under_each_meaning(sample: Tables) -> None:
    section = report_sections.codons(sample.codon_rscu)
    rows = {(row[0], row[1]): row[2:] for row in _written(section.tables[0])}
    assert len(rows) == 68
    assert rows["ATA", "Ile"][:4] == ["—", "—", "28.74", "1.02"]
    assert rows["ATA", "Met"][:4] == ["56.93", "1.72", "—", "—"]
    assert "not of annotated genes" in section.text
    assert "mitochondria 5, plastids 11" in section.text


def test_rejected_records_are_counted_by_reason_and_the_first_shown() -> None:
    reasons = ["empty record"] * 4 + ["illegal letter"] * 26
    records = pd.DataFrame(
        {
            "source": "a",
            "file": "a.fa",
            "record": range(30, 0, -1),
            "line": range(60, 0, -2),
            "header": ["h" * 500] * 30,
            "reason": reasons,
        }
    )
    section = report_sections.rejected(records)
    counts, first = section.tables
    assert _written(counts) == [["illegal letter", "26"], ["empty record", "4"]]
    rows = _written(first)
    assert [row[2] for row in rows] == [str(number) for number in range(1, 21)]
    assert len(rows[0][4]) == 120
    assert first.caption == "The first 20 of 30."


def test_no_rejected_record_is_said_in_words(sample: Tables) -> None:
    section = report_sections.rejected(sample.rejected_records)
    assert not section.tables
    assert "every record of every file was accepted" in section.text
