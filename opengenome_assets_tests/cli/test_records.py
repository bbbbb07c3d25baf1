"""Damaged records of Dagster: an error of the command that names their folder and the remedy."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets_tests.twice import Twice


@pytest.mark.parametrize("command", ["runs", "failures"])
def test_damaged_records_are_named_and_the_remedy_helps(twice: Twice, command: str) -> None:
    folder = Path(twice.home.uri, "dagster")
    file = folder / "history" / "runs.db"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    result = CliRunner().invoke(main, [command])
    assert result.exit_code == 1
    assert f"Dagster's records at {folder} cannot be read" in result.output
    assert "Traceback" not in result.output
    shutil.move(folder, f"{folder}.damaged")
    assert CliRunner().invoke(main, ["reindex"]).exit_code == 0
    assert "cannot be read" not in CliRunner().invoke(main, [command]).output
