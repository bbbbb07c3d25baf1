"""The exporter's pages, and the messages of what it reads."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat
from fastapi.testclient import TestClient
from prometheus_client.core import GaugeMetricFamily, Metric

from opengenome_assets.monitoring.exporter import Reading, create_app
from opengenome_assets.monitoring.instance import InstanceMetrics
from opengenome_assets.monitoring.messages import Messenger, channels_of
from opengenome_assets.monitoring.settings import MonitoringSettings
from opengenome_assets.monitoring.telling import Teller
from opengenome_assets_tests.monitoring.receivers import bodies, receiver

TOPICS = frozenset({"problems", "failures", "successes"})


@dg.op(config_schema={"works": bool})
def work(context: dg.OpExecutionContext) -> None:
    if not context.op_config["works"]:
        raise dg.Failure("a.fa, record 3: <b>odd</b>")


@dg.job
def nightly() -> None:
    work()


def run(instance: dg.DagsterInstance, works: bool) -> str:
    config = {"ops": {"work": {"config": {"works": works}}}}
    return nightly.execute_in_process(run_config=config, instance=instance, raise_on_error=False).run_id


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


@pytest.mark.long
def test_a_fault_is_on_the_page_is_told_once_and_its_end_is_told(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    now = [time.time()]
    instance.add_daemon_heartbeat(DaemonHeartbeat(now[0], "SENSOR", None, []))
    with receiver() as (url, accepted):
        messenger = Messenger(channels_of(MonitoringSettings.of({"webhook_url": url})))
        read = InstanceMetrics(lambda: instance, [], str(tmp_path))
        without_disk = lambda: [each for each in read.read() if "disk" not in each.name]  # noqa: E731  # this machine's
        reading, teller = Reading([without_disk], clock=lambda: now[0]), Teller(read, TOPICS)

        def turn() -> tuple[list[str], str]:
            teller(messenger, *reading.read())
            messenger.wait()
            told = [("over: " if body["over"] else "") + body["subject"] for body in bodies(accepted)]
            accepted.clear()
            client = TestClient(
                create_app(reading, ["testserver"], messenger, teller)
            )  # not entered: it does not follow
            page = client.get("/status").text
            return told, re.sub(r"\s+", " ", page)

        told, page = turn()
        assert told == []
        assert "All well" in page

        failed = run(instance, works=False)
        now[0] += 100  # without a heartbeat
        told, page = turn()
        assert told == [f"Run {failed[:8]} of nightly failed"]
        assert "2 problems" in page
        assert "The last run of nightly failed." in page
        assert 'operating.md#daemondown">What to do' in page
        now[0] += 15
        assert turn()[0] == []
        now[0] += 15
        lost = "DaemonDown: Dagster's daemon, or a loop of it, has given no sign of life for 2 min 10 s"
        assert turn()[0] == [lost]

        done = run(instance, works=True)
        instance.add_daemon_heartbeat(DaemonHeartbeat(now[0], "SENSOR", None, []))
        told, page = turn()
        assert sorted(told) == [
            f"Run {done[:8]} of nightly is done",
            f"over: {lost}",
            "over: RunFailed: The last run of nightly failed",
        ]
        assert "All well" in page
        assert turn()[0] == []


@pytest.mark.long
def test_the_reasons_of_a_failed_run_are_in_its_message(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    with receiver() as (url, accepted):
        messenger = Messenger(channels_of(MonitoringSettings.of({"webhook_url": url})))
        read = InstanceMetrics(lambda: instance, [], str(tmp_path))
        read.read()
        run(instance, works=False)
        read.read()
        Teller(read, frozenset({"failures"}))(messenger, [], [])
        messenger.wait()
    assert [body["text"] for body in bodies(accepted)] == ["work: a.fa, record 3: <b>odd</b>"]


def test_metrics_are_served_and_alerts_go_on_to_the_webhook() -> None:
    alert = {"status": "firing", "labels": {"alertname": "SearchDown"}, "annotations": {"summary": "away"}}
    with receiver() as (url, accepted):
        messenger = Messenger(channels_of(MonitoringSettings.of({"webhook_url": url})))
        reading = Reading([messenger.metrics])
        with TestClient(create_app(reading, ["testserver"], messenger, lambda *_: None, interval=0.05)) as client:
            assert client.get("/health/live").json() == {"live": True}
            assert client.post("/alerts", json={"alerts": [alert]}).status_code == 202
            assert client.post("/alerts", json={"alarms": []}).status_code == 422
            assert client.post("/alerts", content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
            assert client.get("/status", headers={"Host": "evil.example"}).status_code == 400
            messenger.wait()
            deadline = time.monotonic() + 20
            sent = 'opengenome_messages_total{channel="webhook",outcome="sent"} 1.0'
            while sent not in client.get("/metrics").text:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            policy = client.get("/status").headers["Content-Security-Policy"]
    assert [body["subject"] for body in bodies(accepted)] == ["SearchDown: away"]
    assert "script-src" not in policy
    assert policy.startswith("default-src 'none'")


def test_what_cannot_be_told_ends_no_later_reading(caplog: pytest.LogCaptureFixture) -> None:
    turns = []

    def tell(*_: object) -> None:
        turns.append(len(turns))
        if len(turns) == 1:
            raise AttributeError("odd event")

    app = create_app(Reading([list]), ["testserver"], Messenger([]), tell, interval=0.01)
    with TestClient(app) as client:
        while len(turns) < 3:
            time.sleep(0.01)
        assert client.get("/health/live").json() == {"live": True}
    assert "odd event" in caplog.text


def test_a_source_that_cannot_be_read_costs_no_other_its_metrics(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> list[Metric]:
        raise PermissionError(13, "Permission denied", "/data/jobs")

    reading = Reading([broken, lambda: [GaugeMetricFamily("dagster_active_runs", "", value=2)]])
    reading.read()
    assert [each.name for each in reading.metrics] == ["dagster_active_runs"]
    assert "'/data/jobs'" in caplog.text
