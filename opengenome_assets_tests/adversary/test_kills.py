"""Every asset of every group, killed at random moments: what a run left is whole, and the next run makes it right."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets_tests.adversary.everything import Inputs, graph, materialize
from opengenome_assets_tests.processes import REPOSITORY, environment

PAGES = {"corpus_report", "proteins_report", "variant_report"}  # have dates, or follow from tables


def kill(folder: Path, seed: int, kills: int, *selections: str) -> list[dict[str, Any]]:
    """Kill runs of each selection; return the outcomes, after asserting that no row is wrong."""
    inputs = Inputs(folder / "after", 2)
    inputs.write()
    module = "opengenome_assets_tests.adversary.kills"
    command = [sys.executable, "-m", module, str(folder), str(seed), str(kills), *selections]
    settings = environment(folder / "home", **inputs.environment)
    done = subprocess.run(command, cwd=REPOSITORY, env=settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    for each in outcomes:
        assert not each["wrong"], each
    return [each for each in outcomes if each["killed"]]


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a machine with much else to do
def test_after_a_kill_the_tables_are_whole_and_the_next_run_makes_them_right(tmp_path: Path) -> None:
    (killed,) = kill(tmp_path, 11, 1, "*")
    assert killed["wrote"]
    assert made(killed) == assets_of(tmp_path)


@pytest.mark.adversary
@pytest.mark.timeout(14400)
def test_after_many_kills_in_every_asset_no_row_is_wrong(tmp_path: Path) -> None:
    before = Inputs(tmp_path / "before", 1)
    before.write()
    materialize(before.settings(tmp_path / "home"), "*")
    killed = kill(tmp_path, 15, 4)
    wrote = [each for each in killed if each["wrote"]]
    between = [each for each in killed if 0 < each["changed"] < len(each["changes"])]
    print(f"{len(killed)} kills, {len(wrote)} after the first write, {len(between)} between commits, wrong rows: 0")
    assert {each["selection"] for each in killed} == {*assets_of(tmp_path), *PAGES, "*"}
    assert {each["selection"] for each in wrote} >= {each["selection"] for each in killed if each["changes"]}
    assert len(wrote) >= 0.4 * len(killed)
    assert made(killed[-1]) == assets_of(tmp_path)


def assets_of(folder: Path) -> set[str]:
    """Every asset of every group but the pages: an asset that is not made here is in no kill."""
    return set(graph(Inputs(folder, 2).settings(folder / "home"))) - PAGES


def made(outcome: dict[str, Any]) -> set[str]:
    """The assets whose tables and pictures a run changed."""
    files = (each for each in outcome["changes"] if not each.startswith(("alignments/", "variants/")))
    return {Path(each).stem for each in files}
