"""The inventory of a home, empty and filled."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from opengenome_assets import inventory
from opengenome_assets.inventory import Setting, Usage, take_inventory
from opengenome_assets.provenance import Provenance
from opengenome_assets.resources.java import JavaNotFoundError
from opengenome_assets.resources.tables import Tables
from opengenome_assets.settings import Settings


def test_a_home_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    found = take_inventory(Settings(home=str(tmp_path / "none")))
    assert (found.storage, found.tables, found.figures, found.reports) == ([], [], [], [])
    assert not (tmp_path / "none").exists()


def test_settings_tell_where_they_come_from(tmp_path: Path) -> None:
    environment = {"OPENGENOME_HOME": str(tmp_path), "OPENGENOME_KS": "8,3"}
    found = take_inventory(Settings.from_environment(environment)).settings
    assert Setting("home", str(tmp_path), "OPENGENOME_HOME") in found
    assert Setting("ks", "3,8", "OPENGENOME_KS") in found
    assert Setting("source", "sample", "default") in found


def test_tables_figures_and_reports_are_found(tmp_path: Path) -> None:
    tables = Tables(home=str(tmp_path))
    for version, rows in enumerate([3, 5]):
        table = pa.table({"n": pa.array(range(rows), pa.int64())})
        tables.write("numbers", table, Provenance(name="numbers", code_version=str(version)))
    for path in ("figures/gc.png", "figures/gc.svg", "reports/corpus.html", "reports/corpus.json"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("12345")
    found = take_inventory(Settings(home=f"{tmp_path}"))
    (state,) = found.tables
    assert (state.name, state.rows, state.version, state.files) == ("numbers", 5, 1, 1)
    assert state.uri == f"{tmp_path}/tables/numbers"
    assert state.bytes == sum(file.size for file in tables.files(tables.open("numbers")))
    assert abs(datetime.now(UTC) - datetime.fromisoformat(state.made)) < timedelta(minutes=1)
    assert found.figures == [f"{tmp_path}/figures/gc.png", f"{tmp_path}/figures/gc.svg"]
    assert found.reports == [f"{tmp_path}/reports/corpus.html"]
    usage = {part.part: part for part in found.storage}
    assert usage["figures"] == Usage("figures", 2, 10)
    assert usage["tables"].bytes > state.bytes


def test_a_missing_java_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise JavaNotFoundError

    monkeypatch.setattr(inventory, "find_java", none)
    assert take_inventory(Settings(home=str(tmp_path))).versions["java"] == "none"
