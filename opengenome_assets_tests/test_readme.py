"""README as somebody types it, block by block, in order, in a folder where `make run` has made the corpus."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opengenome_assets_tests.corpora import Sample
from opengenome_assets_tests.intake.hub.hub_server import TOKEN, serving
from opengenome_assets_tests.processes import REPOSITORY, environment
from opengenome_assets_tests.shared import copied

# What others type: the first two take minutes, `ui` serves until it is ended, and the last need Docker.
ELSEWHERE = ("make run", "make test", "make quick", "opengenome ui", "make secrets", "docker compose up")
PLACEHOLDER = "/path/to/"
KEPT = (".venv", "dagster.yaml", "opengenome_assets", "pyproject.toml")


def blocks() -> Iterator[tuple[str, list[str]]]:
    """The language and the lines of each block of code, without the lines that are typed elsewhere."""
    for language, code in re.findall(
        r"^```(\w+)\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE
    ):
        yield language, [line for line in code.splitlines() if line and not line.startswith(ELSEWHERE)]


def test_it_fits_on_a_few_screens() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) < 120
    assert {language for language, _ in blocks()} == {"sh", "python"}


@pytest.fixture
def checkout(sample: Sample, tmp_path: Path) -> Path:
    """A folder like a checkout after `make run`."""
    for name in KEPT:
        (tmp_path / name).symlink_to(REPOSITORY / name)
    copied(sample.corpus.home.uri, tmp_path / "data")
    return tmp_path


def typed(lines: list[str], checkout: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", "\n".join(lines)], cwd=checkout, env=variables, capture_output=True, text=True, timeout=240
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_line_works_or_says_what_it_needs(checkout: Path) -> None:
    with serving() as hub:
        hub.repo = "arcinstitute/opengenome2"
        hub.commit({"fasta/organelles/a.fasta.gz": b"", "fasta/other.fasta.gz": b""})
        given = environment(checkout, HF_ENDPOINT=hub.hub, HF_TOKEN=TOKEN)
        variables = {name: value for name, value in given.items() if name not in ("DAGSTER_HOME", "OPENGENOME_HOME")}
        shell: list[str] = []  # what stays in force: the environment and variables
        for language, lines in blocks():
            if language == "python":
                (checkout / "block.py").write_text("\n".join(lines))
                lines = ["python block.py"]
            for line in lines:
                answer = typed([*shell, line], checkout, variables)
                if PLACEHOLDER in line:
                    place = line.partition("=")[2].split()[0]
                    assert f"{place}: no such file or folder" in answer.stderr
                    assert answer.returncode == 1
                    continue
                assert answer.returncode == 0, f"{line}\n{answer.stdout}\n{answer.stderr}"
                assert "Traceback" not in answer.stderr
                assert "Warning" not in answer.stderr
                if line.startswith((".", "export")):
                    shell.append(line)
    assert (checkout / "copy-of-data" / "tables").is_dir()
