"""Sections of the report from the corpus's tables: the choice of numbers, and their order.

Belongs here: data frames in, parts of a `report_page.Report` out. Does not belong here: their look on the page
(`report_page`, `report.html.j2`), and drawing figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from opengenome_assets import words
from opengenome_assets.corpus.plots.codon_names import (
    GENES,
    NOT_GENES,
    OF_GENES,
    codon_columns,
    frame_name,
    three_letters,
    with_frames,
)
from opengenome_assets.intake.sources import ALL
from opengenome_assets.plots.report_page import Cell, Fact, Illustration, ReportColumn, ReportTable, Section

_STATS_COLUMNS = {
    "source": ReportColumn("Source"),
    "sequences": ReportColumn("Sequences", "count"),
    "bases": ReportColumn("Bases", "count"),
    "gc_content": ReportColumn("GC", "percent"),
    "gc_median": ReportColumn("Median GC", "percent"),
    "ambiguous_share": ReportColumn("Ambiguous bases", "percent"),
    "min_length": ReportColumn("Shortest", "bases"),
    "median_length": ReportColumn("Median length", "bases"),
    "max_length": ReportColumn("Longest", "bases"),
    "n50": ReportColumn("N50", "bases"),
    "l50": ReportColumn("L50", "count"),
}
_BIAS_COLUMNS = {
    "source": ReportColumn("Source"),
    "genetic_code": ReportColumn("Genetic code", "count"),
    "genes": ReportColumn("Genes", "count"),
    "open_frames": ReportColumn("Open frames", "count"),
    "codons": ReportColumn("Codons", "count"),
    "gc3": ReportColumn("GC3", "percent"),
    "gc3s": ReportColumn("GC3s", "percent"),
    "effective_codons": ReportColumn("Effective codons", "number"),
}
_BIAS_CAPTION = (
    "Genes by source; open frames are those of them that Prodigal did not find. GC3: G and C at third positions, GC3s: "
    "of codons with synonyms. Effective codons (Wright 1990): 20 with one codon for each amino acid, 61 with no "
    "preference."
)
_REJECTED_COLUMNS = {
    "file": ReportColumn("File"),
    "source": ReportColumn("Source"),
    "record": ReportColumn("Record", "count"),
    "line": ReportColumn("Line", "count"),
    "header": ReportColumn("Header", "quote"),
    "reason": ReportColumn("Reason"),
}
_MAX_HEADER = 120
_MAX_REASON = 240
_MAX_KINDS = 20


def summary(sequence_stats: pd.DataFrame, rejected_records: pd.DataFrame) -> list[Fact]:
    """The numbers at the top: sequences, bases, sources, GC, and rejected records."""
    nothing: dict[str, Any] = {"sequences": 0, "bases": 0, "gc_content": None}
    overall = sequence_stats[sequence_stats["source"] == ALL].to_dict("records")
    whole = overall[0] if overall else nothing
    sources = sorted(set(sequence_stats["source"]) - {ALL})
    return [
        Fact("sequences", words.count(whole["sequences"])),
        Fact("bases", words.bases(whole["bases"]), words.count(whole["bases"])),
        Fact("sources", words.count(len(sources)), words.listing(sources, 4)),
        Fact("GC", words.percent(whole["gc_content"], 2), "of the bases A, C, G, T"),
        Fact("rejected records", words.count(int((rejected_records["record"] > 0).sum()))),
    ]


def corpus(sequence_stats: pd.DataFrame, figures: Sequence[Illustration] = ()) -> Section:
    """The corpus by source, with GC and lengths; `all` last."""
    stats = sequence_stats.sort_values("source", key=lambda names: names.where(names != ALL, "\uffff"))
    table = _table("The corpus by source; GC is over the bases A, C, G and T.", _STATS_COLUMNS, stats)
    return Section("Corpus", "", figures, [table])


def kmers(tables: Mapping[int, pd.DataFrame], figures: Sequence[Illustration] = (), *, top: int = 10) -> Section:
    """The most frequent k-mers of each source with their share of its windows, one table per k."""
    parts = []
    for k, frame in sorted(tables.items()):
        first = frame[frame["rank"] <= top]
        sources = _all_last(first["source"])
        cells = {
            (source, rank): f"{kmer} {words.percent(frequency, 2)}"
            for source, rank, kmer, frequency in zip(
                *(first[name] for name in ("source", "rank", "kmer", "frequency")), strict=True
            )
        }
        ranks = sorted(first["rank"].unique())
        rows = [[int(rank), *(cells.get((source, rank)) for source in sources)] for rank in ranks]
        columns = [ReportColumn("Rank", "count"), *(ReportColumn(source, "code") for source in sources)]
        parts.append(
            ReportTable(f"Most frequent {k}-mers, with their share of all {k}-mers of the source.", columns, rows)
        )
    text = (
        "Exact counts of every word of k letters A, C, G and T, on the strand as given. Words with another "
        "letter do not count."
    )
    return Section("k-mers", text, figures, parts)


def codons(
    codon_rscu: pd.DataFrame,
    codon_bias: pd.DataFrame | None = None,
    figures: Sequence[Illustration] = (),
    *,
    frame: int = GENES,
) -> Section:
    """Codon usage bias of each source, and its codons per thousand and RSCU in genes or one frame, by amino acid."""
    table = with_frames(codon_rscu)
    table = table[table["frame"] == frame]
    sources = _all_last(table["source"])
    cells = {
        (source, three_letters(amino_acid), codon): (per_thousand, rscu)
        for source, amino_acid, codon, per_thousand, rscu in zip(
            *(table[name] for name in ("source", "amino_acid", "codon", "per_thousand", "rscu")), strict=True
        )
    }
    rows: list[list[Cell]] = []
    for amino_acid, codon in codon_columns(table):
        values = [cells.get((source, amino_acid, codon), (None, None)) for source in sources]
        rows.append([codon, amino_acid, *(value for pair in values for value in pair)])
    codes = table.groupby("source")["genetic_code"].first()
    columns = [ReportColumn("Codon", "code"), ReportColumn("Amino acid")]
    for source in sources:
        columns += [ReportColumn(f"{source}, per thousand", "number"), ReportColumn(f"{source}, RSCU", "number")]
    read_as = words.listing([f"{source} {codes[source]}" for source in sources]) or "no sources"
    text = (
        f"The counts are of {OF_GENES if frame == GENES else NOT_GENES}. By the genetic codes of bacteria, archaea and "
        "plastids (11, 4, 25) Prodigal finds genes. By all others, code 1 too, a gene is an open reading frame of 60 "
        "codons or more, and some of those code for nothing. Relative synonymous codon usage (RSCU; Sharp, Tuohy & "
        "Mosurski 1986) is a codon's count over the mean count of the codons of its amino acid in the source's genetic "
        f"code ({read_as}). Stops are a family of their own."
    )
    caption = f"Codon usage in {frame_name(frame)}; a dash: the codon has another meaning."
    tables = [ReportTable(caption, columns, rows)]
    if codon_bias is not None:
        bias = codon_bias.sort_values("source", key=lambda names: names.where(names != ALL, "\uffff"))
        tables.insert(0, _table(_BIAS_CAPTION, _BIAS_COLUMNS, bias))
    return Section("Genes and codons", text, figures, tables)


def rejected(rejected_records: pd.DataFrame, *, first: int = 20) -> Section:
    """Why records were refused: kinds of reason with counts, most frequent first, and the first rows."""
    number = len(rejected_records)
    if not number:
        return Section("Rejected records", "None: every record of every file was accepted.")
    kinds = sorted(Counter(rejected_records["kind"]).items(), key=lambda kind: (-kind[1], kind[0]))
    counts: list[list[Cell]] = [[kind, count] for kind, count in kinds[:_MAX_KINDS]]
    caption = "Rejected records by kind."
    if rarer := kinds[_MAX_KINDS:]:
        others = words.plural(sum(count for _, count in rarer), "record")
        caption = f"Rejected records by kind, the {_MAX_KINDS} most frequent; {len(rarer):,} more with {others}."
    shown = rejected_records.sort_values(["file", "record"]).head(first)
    shown = shown.assign(
        header=[words.shorten(header, _MAX_HEADER) for header in shown["header"]],
        reason=[words.shorten(reason, _MAX_REASON) for reason in shown["reason"]],
    )
    return Section(
        "Rejected records",
        f"{words.plural(number, 'record')} of the files did not enter the corpus; record 0 stands for a whole file.",
        tables=[
            ReportTable(caption, [ReportColumn("Kind"), ReportColumn("Records", "count")], counts),
            _table(f"The first {len(shown)} of {words.count(number)}.", _REJECTED_COLUMNS, shown),
        ],
    )


def _table(caption: str, columns: Mapping[str, ReportColumn], frame: pd.DataFrame) -> ReportTable:
    rows: list[list[Cell]] = frame[list(columns)].astype(object).to_numpy().tolist()
    return ReportTable(caption, list(columns.values()), rows)


def _all_last(sources: pd.Series[str]) -> list[str]:
    return sorted(set(sources), key=lambda source: (source == ALL, source))
