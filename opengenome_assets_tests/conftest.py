"""Fixtures that every test may use."""
# ruff: noqa: E402  # garbage collection is set before the imports that it would look through

import gc

# Hardly anything that imports and the collection of tests make is garbage. Until it is all there, it is looked through
# seldom; from then on, never again.
THRESHOLD = gc.get_threshold()
gc.set_threshold(100_000, 50, 100)

import atexit
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from playwright.sync_api import Browser, sync_playwright

import opengenome_assets_tests.examples  # noqa: F401  # the profiles
from opengenome_assets.deployment.records import engine
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, Events, Sample, write_files
from opengenome_assets_tests.drafts import drafts, rendered
from opengenome_assets_tests.shared import once
from opengenome_assets_tests.twice import instance, made_twice, twice  # noqa: F401

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# A shell that starts the tests in the background makes them deaf to Ctrl-C, and with them all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

SLOW_FIXTURES = {"chromium", "made_twice", "sample", "story", "twenty"}
PEER_FIXTURE = "tool"


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes that are no text by their argument: a gzip member holds its time, and workers would collect others."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.hookimpl(tryfirst=True)  # before marks select
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, those that are slow to make, and outside programs; whole processes go first.

    The tests of commands and pages, in the first folder, take longest, and then the files of variants. At the end, one
    worker would be at them alone.
    """
    tests = Path(__file__).parent
    items.sort(key=lambda item: (item.path.parent != tests, item.path.parent != tests / "variants"))
    for item in items:
        used = set(getattr(item, "fixturenames", ()))
        if used & SLOW_FIXTURES:
            item.add_marker(pytest.mark.slow)
        elif PEER_FIXTURE in used:
            item.add_marker(pytest.mark.peer)


def pytest_collection_finish() -> None:
    """Keep what imports and the collection made from garbage collection, which is as usual for the tests.

    At the end everything is freed: extension modules tell of what is not. That is after pytest's last words, since it
    collects garbage before them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLD)
    atexit.register(gc.unfreeze)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Path of an outside program; without it the test fails where tools are required, else it is skipped.

    They are required when CI=true or OPENGENOME_REQUIRE_TOOLS=1. The package is named where it is called
    otherwise than the program.
    """
    packages = {
        "cusp": "emboss",
        "fuzznuc": "emboss",
        "promtool": "prometheus",
        "amtool": "prometheus-alertmanager",
        "pg_createcluster": "postgresql",
        "nginx": "nginx-light",
        "apache2": "libapache2-mod-auth-openidc",
        "docker": "docker-compose-plugin",
    }
    alone = "install {} from PyPI into an environment of its own, and link its command on the PATH"
    installed_by = {
        "hamronize": alone.format("hAMRonization"),
        "helm": "https://helm.sh/docs/intro/install",
        "multiqc": alone.format("multiqc"),
        "oidc-provider": "npm install --global oidc-provider",
        "sourmash": alone.format("sourmash"),
    }
    required = os.environ.get("CI") == "true" or os.environ.get("OPENGENOME_REQUIRE_TOOLS") == "1"

    def find(name: str) -> str:
        path = FINDERS.get(name, shutil.which)(name)
        if path:
            return path
        remedy = f"{name} not found: {installed_by.get(name, f'apt-get install -y {packages.get(name, name)}')}"
        if required:
            pytest.fail(remedy)
        pytest.skip(remedy)

    return find


def _package_of_npm(name: str) -> str | None:
    """Return the folder of a package that npm installed for all."""
    if not (npm := shutil.which("npm")):
        return None
    root = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=True).stdout.strip()
    return str(Path(root) / name) if (Path(root) / name).is_dir() else None


def _with_compose(name: str) -> str | None:
    """Return the path of Docker's client, if it has Compose."""
    path = shutil.which(name)
    return path if path and subprocess.run([path, "compose", "version"], capture_output=True).returncode == 0 else None


FINDERS: dict[str, Callable[[str], str | None]] = {"docker": _with_compose, "oidc-provider": _package_of_npm}


# No longer than a module: while it is there, no other event loop can run.
@pytest.fixture(scope="module")
def chromium(tool: Callable[[str], str]) -> Iterator[Browser]:
    """Headless Chromium."""
    path = tool("chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=FLAGS) as launched:
        yield launched


@pytest.fixture(scope="session", autouse=True)
def draft_figures() -> Iterator[None]:
    """Save figures as drafts: nearly no test looks at them, and rendering takes longer than all else of a run."""
    with drafts():
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_records() -> Iterator[None]:
    """Let Dagster's own storage, of instances that tests make, keep its connections as that of the platform does.

    The scripts that would migrate its files are read once, and not for each file of each instance.
    """
    read = ScriptDirectory.from_config

    @cache
    def scripts(place: str, config: Config) -> ScriptDirectory:
        return read(config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ScriptDirectory, "from_config", lambda config: scripts(config.get_main_option("script_location"), config)
        )
        for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patch.setattr(module, "create_engine", lambda url, **_: engine(url))
        yield


@pytest.fixture(autouse=True)
def rendered_figures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Save figures as users see them in tests with the mark ``pictures``."""
    with rendered() if request.node.get_closest_marker("pictures") else nullcontext():
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Materialise everything from the shipped sample, once for all tests; to be read, not changed."""

    def make(folder: Path) -> Sample:
        made = Corpus(Home(str(folder)), "sample", (6, 7, 8))
        with rendered(), dg.instance_for_test() as kept:
            return Sample(made, Events.of(made.materialize(instance=kept)))

    return once(tmp_path_factory, "sample", make)


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Corpus]:
    """Make a corpus: a home of its own, and a folder of FASTA files given as text by their path."""

    def make(files: Mapping[str, str | bytes] | None = None, **options: Any) -> Corpus:
        if files is None:
            return Corpus(Home(str(tmp_path / "home")), "sample", **options)
        write_files(tmp_path / "fasta", files)
        return Corpus(Home(str(tmp_path / "home")), str(tmp_path / "fasta"), **options)

    return make
