"""Full and read-only places: the error names the folder and says what to do."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.deployment.instance import LocalInstance
from opengenome_assets.settings import SettingsError
from opengenome_assets.storage.files import write_bytes
from opengenome_assets.storage.lock import only_writer
from opengenome_assets.storage.parts import find_part, write_part
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.storage.numbers import NAME, SCHEMA

REMEDY = "Free space there, .*OPENGENOME_HOME"
NOBODY = 65534


@contextmanager
def full(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write from a folder and all below it, also from root."""
    places = [folder, *folder.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(NOBODY)
        yield
    finally:
        os.seteuid(user)
        for place in places:
            place.chmod(0o755 if place.is_dir() else 0o644)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that every user may enter, with an instance of Dagster in which a run failed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "dagster.yaml").write_text(
        "instance_class: {module: opengenome_assets.deployment.instance, class: LocalInstance}\n"
        "telemetry: {enabled: false}\n"
    )
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("OPENGENOME_HOME", str(folder / "home"))

    @dg.op
    def measure() -> None:
        raise dg.Failure("the balance is broken")

    @dg.job
    def weighing() -> None:
        measure()

    with dg.DagsterInstance.from_config(str(folder)) as instance:
        weighing.execute_in_process(instance=instance, raise_on_error=False)
    yield folder / "home"
    shutil.rmtree(folder)


def test_a_part_on_a_full_disk_names_its_folder_and_is_no_part(tmp_path: Path) -> None:
    uri = Home(str(tmp_path)).table(NAME).uri
    rows = pa.table([range(10**5), [os.urandom(8).hex() for _ in range(10**5)]], schema=SCHEMA)
    with full(1 << 16), pytest.raises(OSError, match=rf"{uri}/key could not be written .*{REMEDY}"):
        write_part(uri, "key", rows)
    assert find_part(uri, "key") is None
    with full(1 << 16), pytest.raises(OSError, match=f"{uri}/note could not be written .*{REMEDY}"):
        write_bytes(f"{uri}/note", bytes(1 << 17))


def test_a_read_only_home_is_named_by_whoever_would_write(place: Path) -> None:
    uri = Home(str(place)).table(NAME).uri
    with read_only(place):
        with pytest.raises(OSError, match=rf"{uri}/key could not be written .*{REMEDY}"):
            write_part(uri, "key", SCHEMA.empty_table())
        with pytest.raises(OSError, match=f"{uri}/note could not be written .*{REMEDY}"):
            write_bytes(f"{uri}/note", b"")
        with (
            pytest.raises(OSError, match=f"{place} could not be written .*{REMEDY}"),
            only_writer(str(place), "", print),
        ):
            pass


def test_dagster_records_that_cannot_be_kept_name_their_folder(place: Path) -> None:
    said = rf"{place}/dagster: .*Free space there, make it writable, or set OPENGENOME_HOME"
    with full(1 << 16), pytest.raises(SettingsError, match=said):
        LocalInstance.config_defaults("")
    with read_only(place), pytest.raises(SettingsError, match=said):
        LocalInstance.config_defaults("")


@pytest.mark.long
def test_failures_are_told_from_a_read_only_home(place: Path) -> None:
    with read_only(place):
        result = CliRunner().invoke(main, ["failures"])
    assert result.exit_code == 1
    assert "measure: the balance is broken" in result.output
