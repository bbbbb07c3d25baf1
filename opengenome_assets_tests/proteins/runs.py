"""Materialising the real assets of proteins in homes of the tests' own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.proteins.definitions import build
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home

# In this process: what a worker does is the same, and starting one takes longer than most tests.
ENGINE = Processes(workers=1)
TABLES = "*accession_manifest,*outliers,rejected_mutations,rejected_proteins"


@dataclass
class Run:
    """A home of the group, and a way to materialise assets in it."""

    home: Home
    settings: dict[str, Any] = field(default_factory=dict)
    engine: Any = ENGINE

    def materialize(
        self, selection: str = TABLES, *, ok: bool = True, checks: bool = True, **config: Mapping[str, Any]
    ) -> dg.ExecuteInProcessResult:
        """Materialise a selection, with or without its checks; assert that it succeeds, or fails."""
        resources = {"home": HomeResource(uri=self.home.uri), "engine": self.engine}
        section = ProteinsSettings.of(self.settings)
        defs = build(Settings(home=self.home.uri, engine="processes").with_sections([section]))
        definitions: list[Any] = [*(defs.assets or []), *((defs.asset_checks or []) if checks else [])]
        result = dg.materialize(
            definitions,
            selection=dg.AssetSelection.from_coercible(selection.split(",")),
            resources=resources,
            run_config={"ops": {name: {"config": value} for name, value in config.items()}},
            raise_on_error=False,
        )
        assert result.success is ok, failure(result)
        return result

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return a table's rows in an order that does not depend on how it was made."""
        return sorted(self.home.table(name).read().to_pylist(), key=repr)


def failure(result: dg.ExecuteInProcessResult) -> str:
    """Return the first error of a run, with its cause."""
    events = [event for event in result.all_events if event.is_step_failure]
    return events[0].step_failure_data.error.to_string() if events else ""


def said(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """Return what a run said of an asset."""
    events = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in events[-1].materialization.metadata.items()}


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Return the descriptions of the checks that did not pass."""
    found = (each for each in result.get_asset_check_evaluations() if not each.passed)
    return {each.check_name: each.description or "" for each in found}


def changed(run: Run, spec: object, column: str, value: object) -> None:
    """Write another value into the first row of a table."""
    table = run.home.table(spec)  # type: ignore[arg-type]
    rows = table.read()
    place = rows.schema.get_field_index(column)
    values = rows[column].to_pylist()
    values[0] = value
    wrong = rows.set_column(place, rows.schema.field(column), pa.array(values, rows.schema.field(column).type))
    table.write(wrong, table.provenance(), key=f"wrong{column}".encode().hex())


def fasta(records: Mapping[str, str]) -> str:
    """Return records as FASTA."""
    return "".join(f">{header}\n{sequence}\n" for header, sequence in records.items())


def folder(path: Path, files: Mapping[str, str]) -> str:
    """Write files into a folder and return it."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_text(content)
    return str(path)
