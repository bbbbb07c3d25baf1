"""Runs of all assets, killed at random moments: the tables are whole, and the next run makes them right."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets_tests.processes import REPOSITORY, environment

pytestmark = pytest.mark.slow


def kill(folder: Path, seed: int, number: int) -> list[dict[str, Any]]:
    """Kill some runs; return the outcomes, after asserting that no row is wrong."""
    command = [sys.executable, "-m", "opengenome_assets_tests.adversary.kills", str(folder), str(seed), str(number)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment(folder / "home", OPENGENOME_KS="2,6"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert len(outcomes) == number
    for each in outcomes:
        assert (each["wrong"], each["again"]) == ([], 0), each
    return outcomes


def test_after_a_kill_the_tables_are_whole_and_the_next_run_makes_them_right(tmp_path: Path) -> None:
    assert any(each["killed"] for each in kill(tmp_path, seed=14, number=1))


@pytest.mark.adversary
@pytest.mark.timeout(3600)
def test_after_many_kills_no_row_is_wrong(tmp_path: Path) -> None:
    outcomes = [each for each in kill(tmp_path, seed=15, number=60) if each["killed"]]
    late = [each for each in outcomes if each["wrote"]]
    between = [each for each in outcomes if 0 < each["committed"] < each["tables"]]
    print(f"{len(outcomes)} kills, {len(late)} after the first write, {len(between)} between commits, wrong rows: 0")
    assert len(outcomes) >= 40
    assert len(late) >= 0.4 * len(outcomes)
