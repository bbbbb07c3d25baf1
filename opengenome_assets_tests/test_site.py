"""The site of docs/: built without the network and with every link right, and it loads nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus
from opengenome_assets_tests.processes import REPOSITORY
from opengenome_assets_tests.test_transcripts import compare, run, transcripts

DOCS = REPOSITORY / "docs"
LOADED = re.compile(r'<(?:script|img|iframe)[^>]* src="https?:[^"]*|<link[^>]*stylesheet[^>]*href="https?:[^"]*')


def test_each_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (REPOSITORY / "mkdocs.yml").read_text().partition("nav:")[2]))
    assert listed == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


@pytest.mark.slow
def test_it_is_built_with_every_link_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert LOADED.findall(page.read_text()) == [], page
    found = (tmp_path / "search" / "search_index.json").read_text()
    assert "opengenome restore-backup" in found


def test_the_messages_that_are_explained_are_in_the_code() -> None:
    code = "".join(
        re.sub(r'"\s*f?"', "", path.read_text()) for path in (REPOSITORY / "opengenome_assets").rglob("*.py")
    )
    rows = re.findall(r"^\| `([^`]+)` \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(rows) > 10
    assert [row for row in rows if row not in code] == []


@pytest.mark.long
def test_the_tutorial_shows_what_its_lines_print(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, home = "tutorial.md", tmp_path / "data"
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"^```sh\n(mkdir -p.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "opengenome_assets").symlink_to(REPOSITORY / "opengenome_assets")
    subprocess.run(["sh", "-ec", block], check=True)
    for line, _ in transcripts(page):
        if not line.startswith("opengenome"):
            subprocess.run(["sh", "-ec", line], check=True)
            continue
        monkeypatch.setenv("OPENGENOME_HOME", str(home))
        compare(page, line, run(line), str.rstrip)
        if not home.exists():  # the first line is typed before anything is made
            made = Corpus(Home(str(home)), str(tmp_path / "genomes"), (6,))
            made.materialize("*sequence_stats,*kmer_freq_k6,*tfidf_index,*tfidf_terms")
