"""The wheel in a fresh environment of each Python that this machine has, in an empty folder: no checkout, no `make`."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from opengenome_assets_tests.processes import REPOSITORY, free_port, wait_for

PYTHONS = ("3.11", "3.12", "3.13")  # as the classifiers of pyproject.toml
SOME_GENES = "ATG" + "GCTAAAGGTCTGACC" * 30 + "TAA"
FASTA = {
    "moss/a.fa": f">a1 a moss\n{SOME_GENES}ACGTTGCATTGACCAGATTACAGATT\n>a2\nACGTTGCA!GT\n",
    "fern/b.fa": f">b1 a fern\n{SOME_GENES[60:300]}GGGTTTACGTCGTAGCTAGTTTT\n"
    + "".join(f">b{number}\n{'GATTACA' * number}\n" for number in range(2, 13)),
}


def interpreters() -> dict[str, str]:
    """The path of each Python: on the PATH, among those of pyenv, or named by variables as PYTHON3_12."""
    found = {}
    for version in PYTHONS:
        named = os.environ.get(f"PYTHON{version.replace('.', '_')}", f"python{version}")
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
        for path in (named, *map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True))):
            ask = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"]
            try:
                answer = subprocess.run(ask, capture_output=True, text=True, timeout=30)
            except OSError:
                continue
            if answer.returncode == 0 and answer.stdout.startswith(f"{version} "):
                found[version] = answer.stdout.split(maxsplit=1)[1].strip()
                break
    return found


FOUND = interpreters()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [Path(sys.executable).with_name("uv"), "build", "--quiet", "--wheel", "--offline", "--no-build-isolation"]
    subprocess.run([*build, "--python", sys.executable, "--out-dir", folder], cwd=REPOSITORY, check=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    def __init__(self, folder: Path, python: str, wheel: Path) -> None:
        self.bin, self.folder = folder / "venv" / "bin", folder / "empty"
        self.folder.mkdir()
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", python, folder / "venv"], check=True, timeout=120)
        locked = ["--constraints", REPOSITORY / "requirements.lock"]
        install = [uv, "pip", "install", "--quiet", "--python", self.bin / "python", *locked, wheel]
        subprocess.run(install, check=True, timeout=1200)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENGENOME_", "DAGSTER_"))}
        path = f"{self.bin}:/usr/local/bin:/usr/bin:/bin"
        self.environment = {**kept, "PATH": path, "OPENGENOME_ENGINE": "processes", "OPENGENOME_KS": "3"}
        for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONWARNINGS"):
            self.environment.pop(name, None)

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command, which must succeed, say nothing of Python's own and print no trace."""
        answer = subprocess.run(
            arguments,
            cwd=self.folder,
            env={**self.environment, **settings},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        for word in ("Warning", "Traceback", "BrokenPipe"):
            assert word not in answer.stdout + answer.stderr
        return answer


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installed:
    if request.param not in FOUND:
        pytest.skip(f"no Python {request.param} here; name one by PYTHON{request.param.replace('.', '_')}")
    made = Installed(tmp_path_factory.mktemp("wheel"), FOUND[request.param], wheel)
    for name, text in FASTA.items():
        (made.folder / "genomes" / name).parent.mkdir(parents=True)
        (made.folder / "genomes" / name).write_text(text)
    return made


@pytest.fixture(scope="module")
def ran(installed: Installed) -> str:
    """What `opengenome run` ended with, on two small files, of which one has a record to refuse."""
    selection = ["--select", "tag:group=corpus,tag:group=search"]
    settings = {"OPENGENOME_SOURCE": "genomes", "OPENGENOME_QUERIES": "genomes/fern/b.fa"}
    return installed.run("opengenome", "run", *selection, **settings).stdout


@contextmanager
def served(installed: Installed, command: Sequence[str]) -> Iterator[None]:
    """Run a command, and end it as Ctrl-C ends it."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        command, cwd=installed.folder, env=installed.environment, start_new_session=True, **quiet
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def shown(installed: Installed, *arguments: str) -> str:
    return installed.run("opengenome", *arguments).stdout


def test_a_run_ends_with_what_was_found(ran: str) -> None:
    assert "13: fern 12, moss 1" in ran
    assert "1 record" in ran
    assert "reports/corpus_report.html" in ran


@pytest.mark.usefixtures("ran")
def test_tables_and_refused_records_are_looked_at_without_python_code(installed: Installed) -> None:
    text = shown(installed, "show", "rejected_records", "--format", "csv")
    (refused,) = csv.DictReader(io.StringIO(text))
    assert (refused["file"], refused["record"], refused["line"]) == ("moss/a.fa", "2", "3")
    first = json.loads(shown(installed, "show", "kmer_freq_k3", "--where", "rank <= 1", "--format", "json"))
    assert first
    assert "rank" in shown(installed, "show", "kmer_freq_k3", "--where", "rank <= 1", "--format", "table")
    assert "tfidf_index" in shown(installed, "info")


@pytest.mark.usefixtures("ran")
def test_the_sequences_are_searched(installed: Installed) -> None:
    (installed.folder / "query.fa").write_text(f">piece\n{SOME_GENES[60:240]}\n")
    found = json.loads(shown(installed, "search", "similar", "--query", "query.fa", "--format", "json"))
    assert {hit["seq_id"] for hit in found["hits"][:2]} == {"a1", "b1"}
    code = (
        "from opengenome_assets.search import SearchIndex, read_queries\n"
        "from opengenome_assets.proteins import align\n"
        "from opengenome_assets.client import Client\n"
        "(hits,) = SearchIndex.open('data').similar(read_queries(open('query.fa').read()))\n"
        "print(hits[0].containment)"
    )
    assert installed.run("python", "-c", code).stdout == "1.0\n"


@pytest.mark.usefixtures("ran")
def test_the_pages_are_served(installed: Installed) -> None:
    ports: Sequence[int] = free_port(), free_port()
    command = ["opengenome", "ui", "--port", str(ports[0]), "--search-port", str(ports[1])]

    def answers() -> bool:
        try:
            for port, path in zip(ports, ("server_info", "api/index"), strict=True):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5).close()
        except OSError:
            return False
        return True

    with served(installed, command):
        wait_for(answers, "answer of both servers", every=0.5)
