"""proteins_report: one page for people.

Belongs here: which sections the page has. Does not belong here: which numbers a section shows
(``plots/report_sections.py``), and gathering tables of the same proteins (``framework/report.py``).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from opengenome_assets import __version__
from opengenome_assets.framework.assets import HOME_POOL
from opengenome_assets.framework.figures import FigureSpec
from opengenome_assets.framework.group import Member, rules_of
from opengenome_assets.framework.making import Making, lineage
from opengenome_assets.framework.report import Gathered, origin, passed_checks
from opengenome_assets.framework.table import Specs
from opengenome_assets.lineage.records import Record
from opengenome_assets.lineage.tree import draw, trace
from opengenome_assets.plots.report_page import Report, Section, render
from opengenome_assets.proteins import plots
from opengenome_assets.proteins.figures import figure_specs
from opengenome_assets.proteins.group import GROUP
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import (
    ACCESSION_MANIFEST,
    DISRUPTIONS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    OUTLIERS,
    PROTEINS,
    REJECTED_MUTATIONS,
    REJECTED_PROTEINS,
    TABLES,
)
from opengenome_assets.storage.files import write_bytes
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home, Named

if TYPE_CHECKING:
    import pandas as pd

NAME = "proteins_report"
CODE_VERSION = "3"


def define(settings: ProteinsSettings) -> list[Member]:
    """Return the report."""
    return [report_asset(figure_specs(settings.levels))]


def report_asset(figures: Sequence[FigureSpec]) -> dg.AssetsDefinition:
    """Return the asset proteins_report, which reads every table of the group and these figures."""
    names = [figure.name for figure in figures]

    @dg.asset(
        pool=HOME_POOL,
        name=NAME,
        deps=[*names, ACCESSION_MANIFEST.name, OUTLIERS.name, REJECTED_PROTEINS.name, REJECTED_MUTATIONS.name],
        code_version=CODE_VERSION,
        kinds={"html"},
        description="The mutations on one page that needs no network: what was found, what is wild type, what "
        "could not be "
        "examined and why, and how each table was made. A table made from other proteins is left out and named.",
    )
    def proteins_report(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        gathered = Gathered(home, PROTEINS, [spec.name for spec in TABLES], names)
        record = Provenance(name=NAME, code_version=CODE_VERSION, inputs=gathered.inputs, corpus=gathered.corpus)
        provenance = making.recorded(record)
        tree = trace(home, Specs(TABLES), Record(NAME, "report", None, making.started, provenance))
        keys = [dg.AssetCheckKey(dg.AssetKey(rule.asset), rule.name) for rule in rules_of(GROUP, _members())]
        page = build_report(gathered, passed_checks(context.instance, keys), draw(tree, files=10, brief=True))
        uri = f"{home.uri}/reports/{NAME}.html"
        write_bytes(uri, render(page).encode())
        for notice in page.notices:
            context.log.warning(notice.line)
        return dg.MaterializeResult(
            metadata={"report": dg.MetadataValue.path(uri), **making.metadata(), **lineage(provenance)},
            data_version=dg.DataVersion(provenance.data_version),
        )

    return proteins_report


def _members() -> list[Member]:
    from opengenome_assets.proteins.definitions import members  # late: it assembles this module too

    return members(ProteinsSettings())


def build_report(gathered: Gathered, checks: dict[str, str], tree: Sequence[str] = ()) -> Report:
    """Return the page's content."""
    sections: list[Section] = []

    def section(needed: Sequence[Named], make: Callable[[], Section]) -> None:
        if gathered.has(*needed):
            sections.append(make())

    read, shown = gathered.read, gathered.illustrations
    section(
        [MUTATION_CALLS],
        lambda: plots.report_sections.calls(
            read(MUTATION_CALLS),
            shown("figure_mutation_matrix", "figure_prevalence", "figure_drug_classes", "figure_catalogue_diff"),
        ),
    )
    section([MUTATION_STATUS], lambda: plots.report_sections.status(read(MUTATION_STATUS)))
    section(
        [ACCESSION_MANIFEST],
        lambda: plots.report_sections.accessions(
            read(ACCESSION_MANIFEST), shown("figure_mutation_positions", "figure_identity_coverage")
        ),
    )
    section([DISRUPTIONS], lambda: plots.report_sections.disruptions(read(DISRUPTIONS)))
    section([NOVEL_SUBSTITUTIONS], lambda: plots.report_sections.novel(read(NOVEL_SUBSTITUTIONS)))
    section([OUTLIERS], lambda: plots.report_sections.outliers(read(OUTLIERS)))
    section([REJECTED_PROTEINS, REJECTED_MUTATIONS], lambda: plots.report_sections.rejected(_refused(gathered)))
    summarised = (ACCESSION_MANIFEST, MUTATION_STATUS, MUTATION_CALLS)
    return Report(
        title="Proteins and their wild types",
        generated=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, by OpenGenome Assets {__version__}",
        summary=plots.report_sections.summary(*map(read, summarised)) if gathered.has(*summarised) else [],
        sections=sections,
        provenance=[origin(gathered, name, checks.get(name, "")) for name in gathered.snapshots],
        notices=gathered.notices,
        tree=tree,
    )


def _refused(gathered: Gathered) -> "pd.DataFrame":
    import pandas as pd

    records, entries = gathered.read(REJECTED_PROTEINS), gathered.read(REJECTED_MUTATIONS)
    records = records.rename(columns={"file": "where"})
    entries = entries.rename(columns={"symbol": "header"}).assign(where="catalogue")
    names = ["where", "line", "header", "reason"]
    return pd.concat([records[names], entries[names]]).sort_values(["where", "line"])
