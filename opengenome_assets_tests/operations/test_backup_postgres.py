"""A backup with Dagster's records in PostgreSQL, as in the cluster: everything is destroyed and restored."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
from dagster._daemon.types import DaemonHeartbeat

from opengenome_assets.operations.backup import back_up, put_back
from opengenome_assets.operations.records import RecordsError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.monitoring.test_instance import CHECK, PLACE, add_ticks, make
from opengenome_assets_tests.postgres import instance, serving
from opengenome_assets_tests.processes import REPOSITORY
from opengenome_assets_tests.storage.numbers import commit, content

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def url(tool: Callable[[str], str]) -> Iterator[str]:
    with serving(tool) as postgres:
        yield postgres.url


def stored(url: str) -> dict[str, list[Any]]:
    """All rows of all tables."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public' order by 1")
        names = [row[0] for row in cursor.fetchall()]
        found = {}
        for name in names:
            cursor.execute(f'select * from "{name}"')
            found[name] = sorted(
                repr([bytes(each) if isinstance(each, memoryview) else each for each in row])
                for row in cursor.fetchall()
            )
    connection.close()
    return found


def destroy(url: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("drop schema public cascade; create schema public")
    connection.close()


def health() -> Any:
    """The health checks of the cluster's services."""
    spec = importlib.util.spec_from_file_location("healthcheck", REPOSITORY / "docker" / "healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_is_destroyed_and_restored(url: str, tmp_path: Path) -> None:
    home, place = Home(str(tmp_path / "home")), Home(str(tmp_path / "backup"))
    commit(home, [1, 2])
    commit(home, [2, 3])
    rows = content(home), content(home, 0)
    with instance(url, tmp_path / "one") as opened:
        run = make(opened)
        make(opened, works=False)
        add_ticks(opened, PLACE)
        before = stored(url)
        outcome = back_up(home, opened, place)
        assert (outcome.manifest.kind, outcome.manifest.runs) == ("postgres", 2)
        with pytest.raises(RecordsError, match="have 2 runs already"):
            put_back(place, Home(str(tmp_path / "other")), opened)
    destroy(url)
    restored = Home(str(tmp_path / "restored"))
    with instance(url, tmp_path / "two") as opened:
        assert opened.get_runs_count() == 0
        put_back(place, restored, opened)
        assert stored(url) == before
        assert (content(restored), content(restored, 0)) == rows
        assert opened.get_run_by_id(run).status == dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
        make(opened)  # its rows get new numbers
        assert opened.get_runs_count() == 3
        assert opened.event_log_storage.get_latest_asset_check_execution_by_key([CHECK])


def test_the_daemons_health_is_the_age_of_its_heartbeats(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = health()
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    with instance(url, tmp_path / "three") as opened:
        opened.wipe_daemon_heartbeats()
        with pytest.raises(checks.UnhealthyError, match="has not reported yet"):
            checks.check_daemon()
        now = time.time()
        for kind, age, daemon in (("SENSOR", 5, "new"), ("SCHEDULER", 5, "new"), ("ASSET", 9000, "old")):
            opened.add_daemon_heartbeat(DaemonHeartbeat(now - age, kind, daemon, []))
        checks.check_daemon()
        opened.add_daemon_heartbeat(DaemonHeartbeat(now - 200, "SCHEDULER", "new", []))
        with pytest.raises(checks.UnhealthyError, match=r"SCHEDULER 20\d s ago; expected one every 30 s"):
            checks.check_daemon()
