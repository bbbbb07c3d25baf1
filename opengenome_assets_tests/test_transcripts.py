"""Transcripts in the documents: each line is run here, and prints what the page shows, numbers and names of runs aside.

A line of three dots stands for any lines. The searches of the shipped sample are compared number by number.
"""

import gzip
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets_tests.corpora import Sample
from opengenome_assets_tests.kernels.texts import sample as sequences
from opengenome_assets_tests.processes import REPOSITORY
from opengenome_assets_tests.service.conftest import serving
from opengenome_assets_tests.twice import Twice

DOTS = {"…", "..."}
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def transcripts(page: str) -> list[tuple[str, list[str]]]:
    """Return the lines after a prompt on a page, each with what is shown below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```(?:console)?\n(\$ .*?)^```", Path(REPOSITORY, "docs", page).read_text(), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


def shown(page: str, line: str) -> list[str]:
    """Return what the first transcript of a line on a page shows."""
    return next(below for command, below in transcripts(page) if command == line)


def run(line: str, **kept: str) -> list[str]:
    """Run a documented line, some of its words replaced; return what it prints."""
    words = [kept.get(word, word) for word in shlex.split(line)]
    assert words[0] == "opengenome"
    answer = CliRunner().invoke(main, words[1:], env={"COLUMNS": "200"}, input="n\n")
    return answer.output.splitlines()


def shape(line: str) -> str:
    """A line without its numbers, sizes, ids and spacing."""
    line = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b", "ID", line)
    line = re.sub(r"\d[\d,.:-]*( [kMG]?B\b)?", "#", line)
    return re.sub(r"#(,? #)+", "#", " ".join(line.split()))


def compare(page: str, line: str, printed: list[str], form=shape) -> None:
    """Assert that what was printed is what the page shows, in order, and that nothing is left out without dots."""
    rest, skips = [form(each) for each in printed], False
    for each in shown(page, line):
        if each.strip() in DOTS:
            skips = True
            continue
        wanted = form(each)
        place = rest.index(wanted) if wanted in rest else None
        assert place is not None, f"{page}: `{line}` shows\n{wanted}\nand prints\n" + "\n".join(printed)
        assert skips or not [left for left in rest[:place] if left], f"{page}: `{line}` leaves out {rest[:place]}"
        rest, skips = rest[place + 1 :], False
    assert skips or not [left for left in rest if left], f"{page}: `{line}` leaves out {rest}"


def test_versions_are_restored_reproduced_carried_and_pruned_as_shown(twice: Twice, tmp_path: Path) -> None:
    page, other = "versions.md", str(tmp_path / "backup")

    def follow(line: str) -> None:
        printed = [
            each.replace(twice.home.uri, "/srv/genomes").replace(other, "/mnt/backup")
            for each in run(line, **{"/mnt/backup": other})
        ]
        compare(page, line, printed)

    follow("opengenome restore kmer_freq_k6 --version 0")
    run(f"opengenome checkout --run {twice.runs[0]}")
    follow("opengenome reproduce")
    follow("opengenome push /mnt/backup")
    for folder in ("figures", "reports"):  # they were made from version 1, which would stay for them
        shutil.rmtree(Path(twice.home.uri, folder))
    follow("opengenome prune --keep 1")


def test_dagster_is_told_again_as_shown(twice: Twice) -> None:
    compare(
        "lineage.md",
        "opengenome lineage kmer_freq_k6 --column frequency",
        run("opengenome lineage kmer_freq_k6 --column frequency"),
        str,
    )
    shutil.rmtree(Path(twice.home.uri, "dagster"))
    _, second = (below for line, below in transcripts("lineage.md") if line == "opengenome reindex")
    compare("lineage.md", "opengenome reindex", run("opengenome reindex"))
    assert run("opengenome reindex") == second


def test_the_sample_is_searched_as_shown(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = "search.md"
    monkeypatch.setenv("OPENGENOME_HOME", sample.corpus.home.uri)
    human = sequences("vertebrate_mitochondria")["NC_012920.1"][2000:3500].translate(COMPLEMENT)[::-1]
    monkeypatch.chdir(tmp_path)

    with gzip.open(REPOSITORY / "opengenome_assets" / "corpus" / "sample" / "plastids.fasta.gz", "rt") as file:
        Path("query.fasta").write_text("".join(next(file) for _ in range(40)))
    Path("piece.fasta").write_text(f">human_2000_3500_reverse\n{human}\n")
    for line, _ in transcripts(page):
        if line.startswith("opengenome"):
            compare(page, line, run(line), str.strip)


def test_the_search_answers_over_http_as_shown(sample: Sample) -> None:
    text = Path(REPOSITORY, "docs", "search.md").read_text()
    (body,) = re.findall(r"^curl --json '(.*)' http\S+/api/similar$", text, re.M)
    (answer,) = re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)
    wanted = json.loads(answer)
    with serving(Path(sample.corpus.home.uri)) as client:
        found = client.post("/api/similar", json=json.loads(body)).json()
    for each in (wanted, found):
        each["seconds"], each["searched"] = 0, sorted(each["searched"])
    assert found == wanted
