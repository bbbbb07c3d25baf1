"""Reports: one page for people over tables and figures that describe the same basis.

Belongs here: gathering them, saying which do not fit, and what Dagster and the page are told of their making. Does not
belong here: which numbers a section shows (``plots`` of each group), and how the page looks (``plots/report_page.py``).
"""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from opengenome_assets.framework.figures import SavedFigure, load_figure
from opengenome_assets.framework.making import lineage
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.plots.report_page import Illustration, Notice, Origin
from opengenome_assets.storage.files import read_bytes
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.snapshot import MissingTableError, Snapshot
from opengenome_assets.storage.tables import Home, Named
from opengenome_assets.words import materialize


def report_metadata(home: str, provenance: Provenance) -> dict[str, Any]:
    """Return what the UI shows of a report that has been written."""
    folder = f"{home.rstrip('/')}/reports"
    return {
        "report": dg.MetadataValue.path(f"{folder}/{provenance.name}.html"),
        "summary_json": dg.MetadataValue.path(f"{folder}/summary.json"),
        "summary_csv": dg.MetadataValue.path(f"{folder}/summary.csv"),
        **lineage(provenance),
    }


class Gathered:
    """The tables and figures that describe the newest version of a basis, and a notice for each that does not.

    Parameters
    ----------
    home
        The home.
    basis
        The table that the others describe.
    tables, figures
        What is wanted, by name.

    Attributes
    ----------
    corpus
        Data version of the basis.
    snapshots
        The tables that belong to it, pinned.
    figures
        The figures that belong to it.
    notices
        What is missing or was made from another version of the basis, and the remedy.
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
            if snapshot.provenance.corpus in (self.corpus, ""):  # a catalogue comes before the basis
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
        """What the report's record says of its tables and figures; a figure has no versions."""
        figures = {
            name: Input(version=0, data_version=figure.provenance.data_version) for name, figure in self.figures.items()
        }
        return {name: snapshot.input for name, snapshot in self.snapshots.items()} | figures

    def _leave_out(self, name: str, why: str) -> None:
        self.notices.append(Notice(f"{name} {why} and is left out.", materialize(name)))

    def has(self, *tables: Named) -> bool:
        """Tell whether all these tables belong to the corpus."""
        return all(table.name in self.snapshots for table in tables)

    def read(self, table: Named, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return a table, or some of its columns."""
        frame: pd.DataFrame = self.snapshots[table.name].read(columns).to_pandas()
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


def origin(gathered: Gathered, name: str, checks: str) -> Origin:
    """Return how a table was made, in the form the page takes."""
    snapshot = gathered.snapshots[name]
    made, current = snapshot.provenance, snapshot.history.current
    return Origin(
        name=name,
        version=current.number,
        rows=snapshot.rows,
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
