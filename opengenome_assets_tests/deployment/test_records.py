"""Records are kept in Dagster's own files, safely, with one connection that stays open for each."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import Queue

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from opengenome_assets.deployment import records
from opengenome_assets.framework.private import DagsterSqliteStorage

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    return dg.DagsterInstance.from_config(str(REPOSITORY))


@dg.asset
def counted(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    context.log.info("counting")
    return dg.MaterializeResult(metadata={"rows": 3})


def test_dagsters_own_storage_reads_the_same_files(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert isinstance(instance.run_storage, records.RunRecords)
    assert isinstance(instance.event_log_storage, records.EventRecords)
    run = dg.materialize([counted], instance=instance).dagster_run
    own = DagsterSqliteStorage(str(tmp_path / "home" / "dagster"))
    assert [stored.status for stored in own.run_storage.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
    assert own.event_log_storage.get_logs_for_run(run.run_id) == instance.all_logs(run.run_id)
    assert len(own.event_log_storage.get_logs_for_run(run.run_id)) > 10


def test_commits_do_not_wait_for_the_disk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/some.db"
    assert records.engine(url) is records.engine(url)
    with records.engine(url).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL


@pytest.mark.long
def test_a_run_makes_no_engine_for_each_event(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    dg.materialize([counted], instance=instance)  # the files are there now
    made: list[object] = []

    def create_engine(*arguments: object, **_: object) -> None:
        made.append(arguments)
        raise AssertionError(arguments)

    monkeypatch.setattr("dagster._core.storage.event_log.sqlite.sqlite_event_log.create_engine", create_engine)
    assert dg.materialize([counted], instance=instance).success
    assert made == []
    assert not instance.event_log_storage.has_table("no_such_table")


@pytest.mark.long
def test_who_follows_a_run_hears_of_each_event_while_it_is_written(
    instance: dg.DagsterInstance,
) -> None:
    run = dg.materialize([counted], instance=instance).dagster_run
    heard: Queue[str] = Queue()
    follower = dg.DagsterInstance.from_ref(instance.get_ref())  # with records of its own, as a server has
    last = follower.event_log_storage.get_records_for_run(run.run_id).cursor
    follower.watch_event_logs(run.run_id, last, lambda event, _: heard.put(event.get_dagster_event().message))
    for number in range(3):
        instance.report_engine_event(f"event {number}", run)
        assert heard.get(timeout=60) == f"event {number}"
    follower.dispose()


def test_a_file_that_was_replaced_or_deleted_is_opened_again(tmp_path: Path) -> None:
    path, other = tmp_path / "some.db", tmp_path / "other.db"
    for place, number in ((path, 1), (other, 2)):
        with closing(sqlite3.connect(place)) as connection, connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE event (number INTEGER)")
            connection.execute("INSERT INTO event VALUES (?)", (number,))

    def numbers() -> list[int]:
        with records.engine(f"sqlite:///{path}").connect() as connection, connection.begin():
            return list(connection.exec_driver_sql("SELECT number FROM event").scalars())

    assert numbers() == [1]
    other.replace(path)
    assert numbers() == [2]
    path.unlink()
    with pytest.raises(OperationalError, match="no such table"):
        numbers()


def test_an_instance_that_ends_leaves_its_records_in_whole_files(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    with instance:
        run = dg.materialize([counted], instance=instance).dagster_run
        assert list(tmp_path.rglob(f"{run.run_id}.db-wal"))
    assert not list(tmp_path.rglob("*.db-*"))
    assert len(list(tmp_path.rglob("*.db"))) > 3


@pytest.mark.long
def test_many_threads_write_all_their_events(instance: dg.DagsterInstance) -> None:
    run = dg.materialize([counted], instance=instance).dagster_run
    before = len(instance.all_logs(run.run_id))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: instance.report_engine_event(f"event {number}", run), range(40)))
    assert len(instance.all_logs(run.run_id)) == before + 40


@pytest.mark.slow
def test_a_killed_process_loses_no_event(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from opengenome_assets.deployment.records import engine\n"
        "made = engine(sys.argv[1])\n"
        "with made.connect() as c, c.begin():\n"
        "    c.exec_driver_sql('PRAGMA journal_mode=WAL')\n"
        "    c.exec_driver_sql('CREATE TABLE event (number INTEGER)')\n"
        "for number in range(50):\n"
        "    with made.connect() as c, c.begin():\n"
        "        c.exec_driver_sql(f'INSERT INTO event VALUES ({number})')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "events.db"
    done = subprocess.run([sys.executable, "-c", code, f"sqlite:///{path}"], check=False)
    assert done.returncode == -9
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (50,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
