"""Backup: everything is destroyed and restored; what is damaged, missing or in the way is named."""

import json
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.monitoring.backups import backup_metrics
from opengenome_assets.monitoring.problems import problems
from opengenome_assets.operations.backup import BackupError, read_note
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.twice import Twice


def typed(*arguments: str, fails: bool = False) -> str:
    answer = CliRunner().invoke(main, list(arguments))
    assert (answer.exit_code != 0) == fails, answer.output
    return answer.output


def files(home: str) -> dict[str, bytes]:
    """Figures, reports and pins."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for folder in ("figures", "reports", "pins")
        for path in sorted(Path(home, folder).rglob("*"))
        if path.is_file()
    }


@dg.job
def stuck() -> None:
    pass


def test_everything_is_destroyed_and_restored(twice: Twice, tmp_path: Path) -> None:
    home, place = twice.home.uri, str(tmp_path / "backup")
    with open_instance() as instance:
        going_on = instance.create_run_for_job(stuck, status=dg.DagsterRunStatus.STARTED).run_id
        events = len(instance.all_logs(twice.runs[0]))
        assets = {key: instance.get_latest_materialization_event(key) for key in instance.all_asset_keys()}
    before, old, plain = twice.rows(), twice.rows(0), files(home)

    first = json.loads(typed("backup", place, "--with-raw", "--format", "json"))
    assert first["tables_files"] > 0
    assert first["manifest"]["runs"] == 3
    again = json.loads(typed("backup", place, "--keep", "1", "--format", "json"))
    assert again["tables_files"] == 0  # only what is missing travels
    assert again["removed"] == [first["manifest"]["stamp"]]

    shutil.rmtree(home)
    answer = typed("restore-backup", place)
    assert f"marked as failed       {going_on[:8]}" in answer
    assert (twice.rows(), twice.rows(0), files(home)) == (before, old, plain)
    with open_instance() as instance:
        assert {run.run_id: run.status.value for run in instance.get_runs()} == {
            **dict.fromkeys(twice.runs, "SUCCESS"),
            going_on: "FAILURE",
        }
        assert len(instance.all_logs(twice.runs[0])) == events
        for key, event in assets.items():
            found = instance.get_latest_materialization_event(key)
            assert (found and found.timestamp) == (event and event.timestamp)
    assert "has 3 runs already. Restore into an empty home".replace("has", "have") in typed(
        "restore-backup", place, fails=True
    )


def test_a_backup_without_its_manifest_does_not_count(twice: Twice, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    assert "there is no backup at" in typed("restore-backup", str(place), fails=True)
    stamp = json.loads(typed("backup", str(place), "--format", "json"))["manifest"]["stamp"]
    assert stamp in typed("restore-backup", str(place), "--list")
    (place / "backups" / f"{stamp}.json").unlink()
    assert "none" in typed("restore-backup", str(place), "--list")


def test_damage_of_a_backup_is_named_and_nothing_is_half_restored(twice: Twice, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    stamp = json.loads(typed("backup", str(place), "--format", "json"))["manifest"]["stamp"]
    shutil.rmtree(twice.home.uri)
    dump = place / "backups" / f"{stamp}.tar.gz"
    content = dump.read_bytes()
    dump.write_bytes(content[:-9] + b"\0" * 9)
    answer = typed("restore-backup", str(place), fails=True)
    assert f"the records of {stamp} cannot be read" in answer
    with open_instance() as instance:
        assert instance.get_runs_count() == 0
    dump.write_bytes(content)
    picture = next((place / "backups" / "files").iterdir())
    kept = picture.read_bytes()
    picture.write_bytes(b"")
    assert f"expected SHA-256 {picture.name}" in typed("restore-backup", str(place), fails=True)
    picture.write_bytes(kept)
    typed("restore-backup", str(place))  # goes on where it stopped
    assert Home(twice.home.uri).names()


def test_a_scheduled_backup_goes_on_with_its_schedule_and_is_tried_again(
    twice: Twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndedError(Exception):
        pass

    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            raise EndedError

    def alerts() -> set[str]:
        return {each.rule.name for each in problems(backup_metrics(twice.home.uri), time.time() + 7200 + 10900)}

    place = tmp_path / "backup"
    (tmp_path / "backup").touch()  # no place for a backup
    # Other threads, and who waits for a lock, sleep too.
    monkeypatch.setattr(
        sys.modules["opengenome_assets.cli.backup"], "time", SimpleNamespace(time=time.time, sleep=sleep)
    )
    assert backup_metrics(twice.home.uri) == []
    with pytest.raises(EndedError):
        CliRunner().invoke(main, ["backup", str(place), "--every", "2"], catch_exceptions=False)
    assert slept == [0, 900, 0, 900]
    assert alerts() == {"BackupFailed"}
    place.unlink()
    slept.clear()
    with pytest.raises(EndedError):
        CliRunner().invoke(main, ["backup", str(place), "--every", "2"], catch_exceptions=False)
    assert slept[0] == 0
    assert all(7100 < each <= 7200 for each in slept[1:])  # goes on with its schedule
    assert alerts() == {"BackupOverdue"}
    (note := Path(twice.home.uri, "backup.json")).write_text("{")
    assert backup_metrics(twice.home.uri) == []
    with pytest.raises(BackupError, match=r"backup\.json is no note of a backup"):
        read_note(twice.home)
    note.unlink()


def test_a_backup_of_another_kind_of_database_is_refused(twice: Twice, tmp_path: Path) -> None:
    place = tmp_path / "backup"
    stamp = json.loads(typed("backup", str(place), "--format", "json"))["manifest"]["stamp"]
    manifest = place / "backups" / f"{stamp}.json"
    manifest.write_text(manifest.read_text().replace('"sqlite"', '"postgres"'))
    shutil.rmtree(twice.home.uri)
    answer = typed("restore-backup", str(place), fails=True)
    assert "the backup's records are of postgres, and this instance uses sqlite" in answer
