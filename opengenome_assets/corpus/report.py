"""corpus_report: one page for people, and the same numbers as JSON and CSV.

Belongs here: which sections the page has, and the summary. Does not belong here: which numbers a section shows
(``plots/report_sections.py``), and gathering tables of the same corpus (``framework/report.py``).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from opengenome_assets import __version__, words
from opengenome_assets.corpus import plots
from opengenome_assets.corpus.tables import (
    CODON_BIAS,
    CODON_RSCU,
    KMER_FREQUENCIES,
    REJECTED_RECORDS,
    SEQUENCE_SHARDS,
    SEQUENCE_STATS,
    TABLES,
)
from opengenome_assets.framework.assets import HOME_POOL
from opengenome_assets.framework.checks import Rule
from opengenome_assets.framework.figures import FigureSpec
from opengenome_assets.framework.making import Making, table_of
from opengenome_assets.framework.parsing import UNUSABLE
from opengenome_assets.framework.report import RUN, Gathered, origin, passed_checks, report_metadata
from opengenome_assets.framework.table import Specs
from opengenome_assets.lineage.records import Record
from opengenome_assets.lineage.tree import draw, trace
from opengenome_assets.plots.report_page import Notice, Report, Section, render
from opengenome_assets.storage.files import write_bytes
from opengenome_assets.storage.record import Provenance, sealed
from opengenome_assets.storage.tables import Home, Named

if TYPE_CHECKING:
    import pandas as pd

NAME = "corpus_report"
CODE_VERSION = "2"
TOP_KMERS = 10
HISTOGRAMS = ["gc_histogram", "length_edges", "length_histogram"]


def report_asset(
    ks: Sequence[int], tables: Sequence[str], figures: Sequence[FigureSpec], rules: Iterable[Rule]
) -> dg.AssetsDefinition:
    """Return the asset corpus_report, which reads these tables and figures and counts the checks of these rules."""
    figure_names = [figure.name for figure in figures]
    checks = [dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name) for rule in rules]

    @dg.asset(
        pool=HOME_POOL,
        name=NAME,
        deps=[
            REJECTED_RECORDS.name,
            CODON_BIAS.name,
            *figure_names,
        ],  # every other table that the page shows is behind a figure
        code_version=CODE_VERSION,
        kinds={"html"},
        description="The corpus on one page that needs no network: figures, tables, and how each was made. The summary "
        "is beside it as JSON and CSV. A table or figure made from another corpus is left out and named.",
    )
    def corpus_report(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult[Any]:
        import pandas as pd

        making = Making(context, __name__)
        gathered = Gathered(home, SEQUENCE_SHARDS, tables, figure_names)
        provenance = making.recorded(
            Provenance(name=NAME, code_version=CODE_VERSION, inputs=gathered.inputs, corpus=gathered.corpus)
        )
        tree = trace(home, Specs(TABLES), Record(NAME, "report", None, making.started, provenance))
        page = build_report(gathered, ks, passed_checks(context.instance, checks), draw(tree, files=10, brief=True))
        folder = f"{home.uri}/reports"
        stats = gathered.read(SEQUENCE_STATS) if gathered.has(SEQUENCE_STATS) else pd.DataFrame()
        flat = stats.drop(columns=HISTOGRAMS, errors="ignore")
        write_bytes(f"{folder}/{NAME}.html", render(page).encode())
        write_bytes(f"{folder}/summary.csv", flat.to_csv(index=False).encode())
        provenance = making.recorded(provenance)  # again, with the whole time
        write_bytes(f"{folder}/summary.json", sealed(summary(gathered, flat, provenance)))
        for notice in page.notices:
            context.log.warning(notice.line)
        return dg.MaterializeResult(
            metadata={
                "by_source": by_source(flat),
                **({"left_out": [notice.line for notice in page.notices]} if page.notices else {}),
                **making.metadata(),
                **report_metadata(home.uri, provenance),
            },
            data_version=dg.DataVersion(provenance.data_version),
        )

    return corpus_report


def build_report(gathered: Gathered, ks: Sequence[int], checks: dict[str, str], tree: Sequence[str] = ()) -> Report:
    """Return the page's content."""
    sections: list[Section] = []

    def section(needed: Sequence[Named], make: Callable[[], Section]) -> None:
        if gathered.has(*needed):
            sections.append(make())

    frequencies = {k: table for k in ks if gathered.has(table := KMER_FREQUENCIES.member(k))}
    section(
        [SEQUENCE_STATS],
        lambda: plots.report_sections.corpus(
            gathered.read(SEQUENCE_STATS),
            gathered.illustrations("figure_gc_content", "figure_lengths", "figure_kmer_pca"),
        ),
    )
    section(
        list(frequencies.values()) or [KMER_FREQUENCIES.template],
        lambda: plots.report_sections.kmers(
            {k: top_kmers(gathered, table) for k, table in frequencies.items()},
            gathered.illustrations(*(f"figure_kmers_k{k}" for k in frequencies), "figure_spectrum"),
            top=TOP_KMERS,
        ),
    )
    section(
        [CODON_RSCU],
        lambda: plots.report_sections.codons(
            gathered.read(CODON_RSCU),
            gathered.read(CODON_BIAS) if gathered.has(CODON_BIAS) else None,
            gathered.illustrations("figure_codon_usage", "figure_rscu"),
        ),
    )
    section([REJECTED_RECORDS], lambda: plots.report_sections.rejected(gathered.read(REJECTED_RECORDS)))
    facts = (
        plots.report_sections.summary(gathered.read(SEQUENCE_STATS), gathered.read(REJECTED_RECORDS))
        if gathered.has(SEQUENCE_STATS, REJECTED_RECORDS)
        else []
    )
    return Report(
        title="Corpus report",
        generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, by OpenGenome Assets {__version__}",
        summary=facts,
        sections=sections,
        provenance=[origin(gathered, name, checks.get(name, "")) for name in gathered.snapshots],
        notices=[*left_out(gathered), *gathered.notices],
        tree=tree,
    )


def left_out(gathered: Gathered) -> list[Notice]:
    """Return a notice if files were left out because they cannot be used."""
    unusable = gathered.home.table(SEQUENCE_SHARDS).provenance().settings.get(UNUSABLE, [])
    if not unusable:
        return []
    shown = unusable[:3]
    first = ":" if len(shown) == len(unusable) else f"; the first {len(shown)}, and see rejected records:"
    text = f"{words.plural(len(unusable), 'file')} left out for faults{first}"
    reasons = [words.shorten(row["reason"], 200) for row in shown]
    return [Notice(text, reasons, "Mend these files or take them away. Then:", RUN)]


def top_kmers(gathered: Gathered, table: Named) -> "pd.DataFrame":
    """Return the most frequent k-mers of a frequency table, which the page shows."""
    rows = gathered.read(table)
    shown: pd.DataFrame = rows[rows["rank"] <= TOP_KMERS]
    return shown


def by_source(stats: "pd.DataFrame", shown: int = 10) -> dg.TableMetadataValue:
    """Return the corpus in a few lines, as a table for the UI."""
    import pandas as pd

    rows = [
        (
            row["source"],
            row["sequences"],
            row["bases"],
            row["n50"],
            "none" if pd.isna(row["gc_content"]) else f"{row['gc_content']:.2%}",
        )
        for row in stats.tail(shown).to_dict("records")
    ]
    return table_of(("source", "sequences", "bases", "N50", "GC"), rows)


def summary(gathered: Gathered, stats: "pd.DataFrame", provenance: Provenance) -> dict[str, Any]:
    """Return the report's numbers for programs."""
    return {
        "corpus": gathered.corpus,
        "provenance": provenance.model_dump(mode="json"),
        "statistics": json.loads(stats.to_json(orient="records")),
        "tables": {
            name: {
                "version": snapshot.version,
                "rows": snapshot.rows,
                "path": snapshot.uri,
                "data_version": snapshot.provenance.data_version,
            }
            for name, snapshot in gathered.snapshots.items()
        },
        "figures": {name: {"png": figure.png, "svg": figure.svg} for name, figure in gathered.figures.items()},
        "left_out": [notice.text for notice in gathered.notices],
    }
