"""corpus_report: one page for people, and the same numbers as JSON and CSV.

Belongs here: gathering tables and figures that describe the same corpus, and saying which do not. Does not belong here:
which numbers a section shows (``corpus/plots/report_sections.py``) and how the page looks (``plots/report_page.py``).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.compute as pc

from opengenome_assets import __version__
from opengenome_assets.corpus import GROUP
from opengenome_assets.corpus.checks import Rule, table_schemas
from opengenome_assets.corpus.figures import FigureSpec, SavedFigure, load_figure
from opengenome_assets.corpus.plots import report_sections
from opengenome_assets.framework.making import Making, lineage
from opengenome_assets.framework.scans import SHARDS
from opengenome_assets.lineage.records import Record
from opengenome_assets.lineage.tree import draw, trace
from opengenome_assets.plots.report_page import Illustration, Notice, Origin, Report, Section, render
from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.tables import MissingTableError, Tables
from opengenome_assets.words import materialize

NAME = "corpus_report"
CODE_VERSION = "1"
TOP_KMERS = 10


def report_asset(ks: Sequence[int], figures: Sequence[FigureSpec], rules: Iterable[Rule]) -> dg.AssetsDefinition:
    """Return the asset corpus_report, which reads the tables and figures of these k."""
    names = list(table_schemas(ks))
    figure_names = [figure.name for figure in figures]
    checks = [dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name) for rule in rules]

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        deps=["rejected_records", *figure_names],  # every other table that the page shows is behind a figure
        code_version=CODE_VERSION,
        kinds={"html"},
        description="The corpus on one page that needs no network: figures, tables, and how each was made. Beside it "
        "the summary as JSON and CSV. What was made from another corpus is left out and named.",
    )
    def corpus_report(context: dg.AssetExecutionContext, tables: Tables) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        gathered = Gathered(tables, names, figure_names)
        provenance = making.recorded(
            Provenance(
                name=NAME,
                code_version=CODE_VERSION,
                inputs={name: tables.input(name) for name in gathered.origins}
                | {
                    name: Input(version=0, data_version=f.provenance.data_version)
                    for name, f in gathered.figures.items()
                },
                corpus=gathered.corpus,
            )
        )
        tree = trace(tables, Record(NAME, "report", None, making.started, provenance))
        page = build_report(gathered, ks, passed_checks(context.instance, checks), draw(tree, files=10, brief=True))
        folder = f"{tables.home.rstrip('/')}/reports"
        stats = tables.read("sequence_stats").to_pandas() if gathered.has("sequence_stats") else pd.DataFrame()
        flat = stats.drop(columns=["gc_histogram", "length_edges", "length_histogram"], errors="ignore")
        write_bytes(f"{folder}/{NAME}.html", render(page).encode())
        write_bytes(f"{folder}/summary.csv", flat.to_csv(index=False).encode())
        provenance = making.recorded(provenance)  # with all the time that it took
        write_bytes(f"{folder}/summary.json", json.dumps(summary(gathered, flat, provenance), indent=2).encode())
        for notice in page.notices:
            context.log.warning(notice.text)
        return dg.MaterializeResult(
            metadata={
                "by_source": dg.MetadataValue.md(by_source(flat)),
                **({"left_out": [notice.text for notice in page.notices]} if page.notices else {}),
                **making.metadata(),
                **report_metadata(tables.home, provenance),
            },
            data_version=dg.DataVersion(provenance.data_version),
        )

    return corpus_report


def report_metadata(home: str, provenance: Provenance) -> dict[str, Any]:
    """Return what the UI shows of a report that has been written."""
    folder = f"{home.rstrip('/')}/reports"
    return {
        "report": dg.MetadataValue.path(f"{folder}/{NAME}.html"),
        "summary_json": dg.MetadataValue.path(f"{folder}/summary.json"),
        "summary_csv": dg.MetadataValue.path(f"{folder}/summary.csv"),
        **lineage(provenance),
    }


class Gathered:
    """The tables and figures that describe the newest corpus, and a notice for each that does not.

    Attributes
    ----------
    corpus
        Data version of the newest sequence_shards.
    origins
        The tables that belong to it, with what made them.
    figures
        The figures that belong to it.
    notices
        What is missing or was made from another corpus, and the remedy.
    """

    def __init__(self, tables: Tables, names: Sequence[str], figure_names: Sequence[str]) -> None:
        self.tables = tables
        self.corpus = tables.provenance(SHARDS).corpus
        self.origins: dict[str, Provenance] = {}
        self.figures: dict[str, SavedFigure] = {}
        self.notices: list[Notice] = []
        for name in names:
            try:
                made = tables.provenance(name)
            except MissingTableError:
                self._leave_out(name, "has not been made yet")
                continue
            if made.corpus in (self.corpus, ""):  # raw_fasta comes before the corpus
                self.origins[name] = made
            else:
                self._leave_out(name, "was made from another corpus than the newest sequence_shards")
        for name in figure_names:
            figure = load_figure(tables, name)
            if figure is None:
                self._leave_out(name, "has not been drawn yet")
            elif figure.provenance.corpus != self.corpus:
                self._leave_out(name, "shows another corpus than the newest sequence_shards")
            else:
                self.figures[name] = figure

    def _leave_out(self, name: str, why: str) -> None:
        self.notices.append(Notice(f"{name} {why} and is left out.", materialize(name)))

    def has(self, *names: str) -> bool:
        """Tell whether all these tables belong to the corpus."""
        return all(name in self.origins for name in names)

    def read(self, name: str) -> pd.DataFrame:
        """Return a table."""
        frame: pd.DataFrame = self.tables.read(name).to_pandas()
        return frame

    def illustrations(self, *names: str) -> list[Illustration]:
        """Return figures in the form the page takes, those that there are."""
        return [
            Illustration.of(
                figure.title,
                figure.caption,
                figure.alt,
                svg=read_bytes(figure.svg) or b"",
                png=read_bytes(figure.png) or b"",
            )
            for figure in (self.figures[name] for name in names if name in self.figures)
        ]


def build_report(gathered: Gathered, ks: Sequence[int], checks: dict[str, str], tree: Sequence[str] = ()) -> Report:
    """Return the page's content."""
    sections: list[Section] = []

    def section(needed: Sequence[str], make: Callable[[], Section]) -> None:
        if gathered.has(*needed):
            sections.append(make())

    frequencies = [k for k in ks if gathered.has(f"kmer_freq_k{k}")]
    section(
        ["sequence_stats"],
        lambda: report_sections.corpus(
            gathered.read("sequence_stats"),
            gathered.illustrations("figure_gc_content", "figure_lengths", "figure_kmer_pca"),
        ),
    )
    section(
        [f"kmer_freq_k{k}" for k in frequencies] or ["kmer_freq"],
        lambda: report_sections.kmers(
            {k: most_frequent(gathered.tables, k) for k in frequencies},
            gathered.illustrations(*(f"figure_kmers_k{k}" for k in frequencies), "figure_spectrum"),
            top=TOP_KMERS,
        ),
    )
    section(
        ["codon_rscu"],
        lambda: report_sections.codons(
            gathered.read("codon_rscu"), gathered.illustrations("figure_codon_usage", "figure_rscu")
        ),
    )
    section(["rejected_records"], lambda: report_sections.rejected(gathered.read("rejected_records")))
    facts = (
        report_sections.summary(gathered.read("sequence_stats"), gathered.read("rejected_records"))
        if gathered.has("sequence_stats", "rejected_records")
        else []
    )
    return Report(
        title="Corpus report",
        generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, by OpenGenome Assets {__version__}",
        summary=facts,
        sections=sections,
        provenance=[origin(gathered, name, checks.get(name, "")) for name in gathered.origins],
        notices=gathered.notices,
        tree=tree,
    )


def most_frequent(tables: Tables, k: int) -> pd.DataFrame:
    """Return the rows of a frequency table that the page shows."""
    rows = tables.read(f"kmer_freq_k{k}")
    shown: pd.DataFrame = rows.filter(pc.less_equal(rows["rank"], TOP_KMERS)).to_pandas()
    return shown


def origin(gathered: Gathered, name: str, checks: str) -> Origin:
    """Return how a table was made, in the form the page takes."""
    made = gathered.origins[name]
    table = gathered.tables.open(name)
    current = gathered.tables.history(name).current
    return Origin(
        name=name,
        version=current.number,
        rows=sum(file.rows for file in gathered.tables.files(table)),
        code_version=f"{made.code_version} (package {made.package_version})",
        settings={key: json.dumps(value) for key, value in made.settings.items()},
        inputs={key: f"version {given.version}, {given.data_version[:12]}" for key, given in made.inputs.items()},
        run_id=made.run_id,
        made_at=f"{current.made:%Y-%m-%d %H:%M:%S} UTC",
        checks=checks,
    )


def passed_checks(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> dict[str, str]:
    """Say for each asset how many of its checks passed when they last ran, as far as Dagster remembers."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    outcome: dict[str, list[bool]] = {}
    for key, execution in latest.items():
        passed = execution.status.value == "SUCCEEDED"
        outcome.setdefault(key.asset_key.to_user_string(), []).append(passed)
    return {name: f"{sum(passed)} of {len(passed)} passed" for name, passed in outcome.items()}


def by_source(stats: pd.DataFrame, shown: int = 10) -> str:
    """Return the corpus in a few lines of Markdown, short enough for Dagster to show it at once."""
    lines = ["| source | sequences | bases | N50 | GC |", "|---|---:|---:|---:|---:|"]
    for row in stats.tail(shown).to_dict("records"):
        gc = "none" if pd.isna(row["gc_content"]) else f"{row['gc_content']:.2%}"
        lines.append(f"| {row['source']} | {row['sequences']:,} | {row['bases']:,} | {row['n50']:,} | {gc} |")
    return "\n".join(lines)


def summary(gathered: Gathered, stats: pd.DataFrame, provenance: Provenance) -> dict[str, Any]:
    """Return the report's numbers for programs."""
    return {
        "corpus": gathered.corpus,
        "provenance": provenance.model_dump(mode="json"),
        "statistics": json.loads(stats.to_json(orient="records")),
        "tables": {
            name: {
                "version": gathered.tables.history(name).current.number,
                "rows": sum(file.rows for file in gathered.tables.files(gathered.tables.open(name))),
                "path": gathered.tables.uri(name),
                "data_version": made.data_version,
            }
            for name, made in gathered.origins.items()
        },
        "figures": {name: {"png": figure.png, "svg": figure.svg} for name, figure in gathered.figures.items()},
        "left_out": [notice.text for notice in gathered.notices],
    }
