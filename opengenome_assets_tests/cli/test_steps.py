"""The lines of a run: one of each step, at a terminal with a bar of the step that goes on, elsewhere plain."""

import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets.cli.processes import program
from opengenome_assets.cli.steps import Plain, Step, amount, follow
from opengenome_assets_tests.processes import REPOSITORY, environment

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PASS = {"label": "counting", "unit": "bases", "done": 500, "total": 2000, "seconds": 2.0}


class Kept:
    """Keeps what would be shown."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.steps: list[str | None] = []

    def line(self, text: str, style: str = "") -> None:
        self.lines.append((text, style))

    def under_way(self, step: Step | None) -> None:
        self.steps.append(step and step.name)


def line(second: float, message: str = "", **fields: Any) -> str:
    entry = {"time": (BEGIN + timedelta(seconds=second)).isoformat(), "level": "INFO", "message": message}
    return json.dumps({**entry, **fields}) + "\n"


def made(asset: str, rows: int | None = None, as_it_was: bool = False) -> dict[str, Any]:
    return {"event": "ASSET_MATERIALIZATION", "made": {"asset": asset, "rows": rows, "as_it_was": as_it_was}}


RUN = [
    line(0, step="kmer_", event="STEP_START"),
    line(1, "2 processes", step="kmer_"),
    line(2, "counting", step="kmer_", progress=PASS),
    line(3, "not common", step="kmer_", level="WARNING"),
    line(3, "counting", step="kmer_", progress={**PASS, "done": 2000, "seconds": 4.0}),
    "Java says something\n",
    "WARNING: Using incubator modules: jdk.incubator.vector\n",
    line(3, step="kmer_", **made("kmer_", 9)),
    line(3, step="kmer_", **made("kmer_beside", 4)),
    line(72.5, step="kmer_", event="STEP_SUCCESS"),
    line(73, step="kmer__columns", event="STEP_START"),
    line(73, step="kmer__columns", event="STEP_SUCCESS"),
    line(74, step="codon_rscu", event="STEP_START"),
    line(74, step="codon_rscu", **made("codon_bias", 12)),
    line(74, step="codon_rscu", **made("codon_rscu", 576)),
    line(74.25, step="codon_rscu", event="STEP_SUCCESS"),
    line(75, step="figure_rscu", event="STEP_START"),
    line(75, step="figure_rscu", **made("figure_rscu", as_it_was=True)),
    line(75, step="figure_rscu", event="STEP_SUCCESS"),
    line(76, step="report", event="STEP_START"),
    line(77, "it failed", step="report", event="STEP_FAILURE", level="ERROR", trace="Traceback"),
    line(77, "Dependencies for step after failed", step="after", level="ERROR"),
    '{"no": "line of ours"}\n',
]


def test_each_step_that_made_something_has_a_line() -> None:
    shown = Kept()
    follow(RUN, shown)
    assert shown.lines == [
        (f"{'kmer_':<25}  not common", "yellow"),
        ("Java says something", ""),
        (f"{'kmer_':<25}  {'1 min 12 s':>11}  2,000 bases, 500 bases/s", ""),
        (f"{'codon_rscu':<25}  {'0.2 s':>11}  576 rows", ""),
        (f"{'figure_rscu':<25}  {'0.0 s':>11}  as it was", ""),
        (f"{'report':<25}  failed", "bold red"),
        ('{"no": "line of ours"}', ""),
    ]
    assert shown.steps[:4] == ["kmer_"] * 4
    assert shown.steps[-1] is None


def test_a_pass_says_what_is_done_of_how_much_how_fast_and_how_long_it_takes() -> None:
    assert amount(PASS) == "500 of 2,000 bases, 250 bases/s, 6.0 s left"
    assert amount({**PASS, "done": 0}) == "0 of 2,000 bases"
    assert amount({**PASS, "total": 2_000_000}) == "500 of 2,000,000 bases, 250 bases/s, 2 h 13 min left"
    assert amount({**PASS, "done": 2000}) == "2,000 bases, 1,000 bases/s"


def test_without_a_terminal_a_long_pass_has_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    shown = Plain(clock=lambda: now[0])
    step = Step("kmer_", BEGIN)
    for second in range(0, 100, 10):
        now[0] = second
        shown.under_way(step)
        step.progress = {**PASS, "done": 20 * second}
    assert capsys.readouterr().err.splitlines() == [
        f"{'kmer_':<25}  {'':>11}  {done:,} of 2,000 bases, {done / 2:,.0f} bases/s, {left} s left"
        for done, left in ((400, "8.0"), (1000, "2.0"), (1600, "0.5"))
    ]


@pytest.mark.long
def test_whoever_stops_reading_gets_no_trace(tmp_path: Path) -> None:
    line = [program("opengenome"), "info"]
    command = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path / "home")
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()  # as `head` does
    assert command.stderr.read() == ""
    assert command.wait(60) == 1


SCRIPT = """
import sys, time
from opengenome_assets.cli.steps import follow, opened

def slowly():
    for line in open(sys.argv[1]):
        yield line
        time.sleep(0.2)

with opened() as display:
    follow(slowly(), display)
"""


@pytest.mark.long
def test_at_a_terminal_a_bar_moves_and_the_lines_stay(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("".join(RUN))
    here, there = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, tmp_path / "lines"],
        stderr=there,
        cwd=REPOSITORY,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    ):
        os.close(there)
        drawn = b""
        while True:
            try:
                drawn += (piece := os.read(here, 65536))
            except OSError:  # the terminal's end
                break
            if not piece:
                break
    os.close(here)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())
    assert "500 of 2,000 bases, 250 bases/s, 6.0 s left" in text
    assert re.search(r"^.*\rkmer_ +1 min 12 s  2,000 bases, 500 bases/s\r?$", text, re.MULTILINE)
    assert b"\x1b[?25h" in drawn  # the cursor is there again


@pytest.mark.long
def test_elsewhere_lines_are_plain_and_rich_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("".join(RUN))
    ask = SCRIPT + "\nassert not [name for name in sys.modules if name.split('.')[0] == 'rich']\n"
    answer = subprocess.run(
        [sys.executable, "-c", ask, tmp_path / "lines"], stderr=subprocess.PIPE, text=True, check=True, cwd=REPOSITORY
    )
    shown = Kept()
    follow(RUN, shown)
    assert answer.stderr.splitlines() == [text for text, _ in shown.lines]
