"""Every asset, killed at random moments: what a run left is whole, and the next run makes it right."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets_tests.corpora import write_files
from opengenome_assets_tests.processes import REPOSITORY, environment
from opengenome_assets_tests.twice import FILES, Twice

CHANGED = {
    **{f"fasta/{name}": content for name, content in FILES.items()},
    "fasta/b/y.fa": f">s3\n{'ACGTTGCA' * 7}\n>s4\n{'GATTACA' * 5}\n",
    "fasta/c/z.fa": f">s5\nATG{'GCTAAC' * 9}TAA\n",
    "queries.fa": f">q1\n{'ACGTTGCA' * 4}\n",
}


def kill(made: Twice, folder: Path, seed: int, kills: int, *selections: str) -> list[dict[str, Any]]:
    """Kill runs of each selection; return the outcomes, after asserting that no row is wrong."""
    shutil.copytree(made.home.uri, folder / "home")
    write_files(folder, CHANGED)
    module = "opengenome_assets_tests.adversary.kills"
    command = [sys.executable, "-m", module, str(folder), str(seed), str(kills), *selections]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment(folder / "home", OPENGENOME_KS="2,6"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    for each in outcomes:
        assert not each["wrong"], each
    return [each for each in outcomes if each["killed"]]


@pytest.mark.slow
def test_after_a_kill_the_tables_are_whole_and_the_next_run_makes_them_right(made_twice: Twice, tmp_path: Path) -> None:
    killed = kill(made_twice, tmp_path, 14, 3, "raw_fasta,sequence_shards")
    assert any(each["wrote"] for each in killed)


@pytest.mark.adversary
@pytest.mark.timeout(7200)
def test_after_many_kills_in_every_asset_no_row_is_wrong(made_twice: Twice, tmp_path: Path) -> None:
    killed = kill(made_twice, tmp_path, 15, 9)
    wrote = [each for each in killed if each["wrote"]]
    between = [each for each in killed if 0 < each["changed"] < each["changes"]]
    print(f"{len(killed)} kills, {len(wrote)} after the first write, {len(between)} between commits, wrong rows: 0")
    changed = {each["selection"] for each in killed if each["changes"]}
    assert {each["selection"] for each in wrote} >= changed
    assert len(changed) > 15
    assert len(wrote) >= 0.4 * len(killed)
