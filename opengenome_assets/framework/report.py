"""Reports: one page for people over tables and figures that describe the same basis.

Belongs here: gathering them, notices on those that do not fit, and their origins for Dagster and the page. Does not
belong here: the numbers of a section (``plots`` of each group), and the layout of the page (``plots/report_page.py``).
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from opengenome_assets.framework.figures import SavedFigure, load_figure
from opengenome_assets.framework.making import lineage
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.plots.report_page import Illustration, Notice, Origin
from opengenome_assets.storage.files import read_bytes
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.snapshot import MissingTableError, Snapshot
from opengenome_assets.storage.tables import Home, Named

if TYPE_CHECKING:
    import pandas as pd

RUN = "opengenome run"  # makes what is missing, and again what has changed


def report_metadata(home: str, provenance: Provenance) -> dict[str, Any]:
    """Return a written report's metadata for the UI."""
    folder = f"{home.rstrip('/')}/reports"
    return {
        "report": dg.MetadataValue.path(f"{folder}/{provenance.name}.html"),
        "summary_json": dg.MetadataValue.path(f"{folder}/summary.json"),
        "summary_csv": dg.MetadataValue.path(f"{folder}/summary.csv"),
        **lineage(provenance),
    }


class Gathered:
    """The tables and figures that describe the newest version of a basis, and notices on the others.

    Parameters
    ----------
    home
        The home.
    basis
        The table that the others describe.
    tables, figures
        The wanted ones, by name.

    Attributes
    ----------
    corpus
        Data version of the basis.
    snapshots
        The tables of that data version, pinned.
    figures
        The figures of that data version.
    notices
        One per table or figure that is missing or describes another version, with the remedy.
    """

    def __init__(self, home: Home, basis: TableSpec, tables: Sequence[str], figures: Sequence[str]) -> None:
        self.home = home
        self.corpus = home.table(basis).provenance().corpus
        self.snapshots: dict[str, Snapshot] = {}
        self.figures: dict[str, SavedFigure] = {}
        self.notices: list[Notice] = []
        for name in tables:
            try:
                snapshot = home.table(name).at()
            except MissingTableError:
                self._leave_out(name, "has not been made yet")
                continue
            if snapshot.provenance.corpus in (self.corpus, ""):  # a catalogue is upstream of the basis
                self.snapshots[name] = snapshot
            else:
                self._leave_out(name, f"was made from another corpus than the newest {basis.name}")
        for name in figures:
            figure = load_figure(home, name)
            if figure is None:
                self._leave_out(name, "has not been drawn yet")
            elif figure.provenance.corpus != self.corpus:
                self._leave_out(name, f"shows another corpus than the newest {basis.name}")
            else:
                self.figures[name] = figure

    @property
    def inputs(self) -> dict[str, Input]:
        """The tables and figures, for the report's record. A figure has no versions."""
        figures = {
            name: Input(version=0, data_version=figure.provenance.data_version) for name, figure in self.figures.items()
        }
        return {name: snapshot.input for name, snapshot in self.snapshots.items()} | figures

    def _leave_out(self, name: str, why: str) -> None:
        self.notices.append(Notice(f"{name} {why} and is left out.", remedy="To make it:", command=RUN))

    def has(self, *tables: Named) -> bool:
        """Return whether all these tables belong to the corpus."""
        return all(table.name in self.snapshots for table in tables)

    def read(self, table: Named, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """Return a table, or some of its columns."""
        frame: pd.DataFrame = self.snapshots[table.name].read(columns).to_pandas()
        return frame

    def illustrations(self, *names: str) -> list[Illustration]:
        """Return those of the named figures that exist, in the page's form."""
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


def origin(gathered: Gathered, name: str, checks: str) -> Origin:
    """Return a table's origin, in the page's form."""
    snapshot = gathered.snapshots[name]
    record, current = snapshot.provenance, snapshot.history.current
    return Origin(
        name=name,
        version=current.number,
        rows=snapshot.rows,
        code_version=f"{record.code_version} (package {record.package_version})",
        settings={key: json.dumps(value) for key, value in record.settings.items()},
        inputs={key: f"version {given.version}, {given.data_version[:12]}" for key, given in record.inputs.items()},
        run_id=record.run_id,
        made_at=f"{current.made:%Y-%m-%d %H:%M:%S} UTC",
        checks=checks,
    )


def passed_checks(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> dict[str, str]:
    """Return for each asset, in words, how many of its checks passed in their last execution."""
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys))
    outcome: dict[str, list[bool]] = {}
    for key, execution in latest.items():
        passed = execution.status.value == "SUCCEEDED"
        outcome.setdefault(key.asset_key.to_user_string(), []).append(passed)
    return {name: f"{sum(passed)} of {len(passed)} passed" for name, passed in outcome.items()}
