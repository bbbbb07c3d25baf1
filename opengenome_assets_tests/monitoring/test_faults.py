"""Faults at their sources: each is on the status page, is told once, and its end is told once.

The times until Prometheus' alert are promtool's (``test_prometheus.py``); those measured are in docs/operating.md.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from opengenome_assets.monitoring.exporter import Reading
from opengenome_assets.monitoring.instance import InstanceMetrics
from opengenome_assets.monitoring.messages import Messenger, channels_of
from opengenome_assets.monitoring.settings import MonitoringSettings
from opengenome_assets.monitoring.spark import spark_metrics
from opengenome_assets.monitoring.status import status_page
from opengenome_assets.monitoring.telling import Teller
from opengenome_assets_tests.monitoring.receivers import bodies, receiver, served
from opengenome_assets_tests.monitoring.test_instance import CHECK, PLACE, InstigatorStatus, add_ticks, counted, make

pytestmark = pytest.mark.long


class Platform:
    """What the exporter watches: an instance, a database that may be away, Spark's page, and a disk."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.now = time.time()
        self.alive = 2
        self.is_away = False
        self.free = 50

    def open(self) -> dg.DagsterInstance:
        if self.is_away:
            raise ConnectionError("connection refused")
        return self.instance

    def beat(self) -> None:
        """Let the daemon's loops report; they do so at different moments."""
        for ago, kind in ((0, "SENSOR"), (25, "ASSET")):
            self.instance.add_daemon_heartbeat(DaemonHeartbeat(self.now - ago, kind, None, []))


@contextmanager
def daemon(platform: Platform) -> Iterator[None]:
    platform.beat()
    platform.now += 60
    yield
    platform.beat()


@contextmanager
def worker(platform: Platform) -> Iterator[None]:
    platform.alive = 1
    yield
    platform.alive = 2


@contextmanager
def database(platform: Platform) -> Iterator[None]:
    platform.is_away = True
    yield
    platform.is_away = False


@contextmanager
def disk(platform: Platform) -> Iterator[None]:
    platform.free = 9
    yield
    platform.free = 50


@contextmanager
def run_that_hangs(platform: Platform) -> Iterator[None]:
    job = dg.Definitions(assets=[counted], jobs=[dg.define_asset_job("hanging")]).resolve_job_def("hanging")
    run = platform.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    platform.now += 3700
    yield
    platform.instance.report_run_canceled(run)
    platform.now -= 3700


@contextmanager
def check(platform: Platform) -> Iterator[None]:
    make(platform.instance, passes=False)
    yield
    make(platform.instance)


@contextmanager
def sensor(platform: Platform) -> Iterator[None]:
    state = add_ticks(platform.instance, PLACE)
    yield
    platform.instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))


@pytest.mark.parametrize(
    ("fault", "rule", "words"),
    [
        (daemon, "DaemonDown", "has given no sign of life for 1 min"),
        (worker, "WorkerGone", "Only 50 % of the Spark workers are there"),
        (database, "RecordsUnreadable", "the database is away"),
        (disk, "DiskNearlyFull", "Only 9 % of the disk of /home is free"),
        (run_that_hangs, "RunSilent", "A run of hanging goes on, and has logged nothing for 1 h 1 min"),
        (check, "CheckFailed", "The check is_whole of counted failed"),
        (sensor, "SensorFailing", "The last 2 ticks of the sensor watch failed"),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
def test_a_fault_is_seen_and_told_once_and_so_is_its_end(
    fault: Callable[[Platform], Any], rule: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.instance_for_test() as instance, receiver() as (url, accepted):
        platform = Platform(instance)
        # A database that is away is met when the instance is opened; one that is lost later is let go.
        monkeypatch.setattr(instance, "dispose", lambda: None)
        monkeypatch.setattr(
            instance.__class__, "get_asset_records", _unless_away(platform, instance.__class__.get_asset_records)
        )
        usage = lambda _: shutil._ntuple_diskusage(100, 100 - platform.free, platform.free)  # type: ignore[attr-defined]  # noqa: E731
        monkeypatch.setattr("opengenome_assets.monitoring.instance.shutil.disk_usage", usage)

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                states = ["ALIVE"] * platform.alive + ["DEAD"] * (2 - platform.alive)
                self.wfile.write(json.dumps({"workers": [{"state": state} for state in states]}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        with served(Page) as spark:
            read = InstanceMetrics(platform.open, [CHECK], "/home", clock=lambda: platform.now)
            reading = Reading([read.read, lambda: spark_metrics(spark, 2)], clock=lambda: platform.now)
            messenger = Messenger(channels_of(MonitoringSettings.of({"webhook_url": url})))
            teller = Teller(read, frozenset({"problems"}))

            def turn(seconds: float) -> tuple[list[tuple[str, bool]], str]:
                """Read again, some seconds later; return what was told, and the page."""
                platform.now += seconds
                teller(messenger, *reading.read())
                messenger.wait()
                told = [(body["subject"], body["over"]) for body in bodies(accepted)]
                accepted.clear()
                page = status_page(reading.metrics, reading.problems, reading.tracker, reading.at, 15)
                return told, re.sub(r"\s+", " ", page)

            told, page = turn(0)
            assert told == []
            assert "All well" in page
            with fault(platform):
                seen = [turn(seconds) for seconds in (0, 15, 15, 15, 15)]
                subjects = [each for told, _ in seen for each in told]
                assert [(subject.partition(":")[0], over) for subject, over in subjects] == [(rule, False)]
                assert words in subjects[0][0] or rule == "RunSilent"
                assert words in seen[0][1]
            told, page = turn(0)
            assert [(subject.partition(":")[0], over) for subject, over in told] == [(rule, True)]
            assert "All well" in page
            assert turn(15)[0] == []


def _unless_away(platform: Platform, function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*arguments: Any, **options: Any) -> Any:
        if platform.is_away:
            raise ConnectionError("connection refused")
        return function(*arguments, **options)

    return checked
