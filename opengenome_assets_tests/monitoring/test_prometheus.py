"""Debian's Prometheus and Alertmanager with the cluster's configuration: rules, the chain of an alert, queries."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import uvicorn
from dagster._daemon.types import DaemonHeartbeat
from fastapi import FastAPI
from prometheus_client.core import GaugeMetricFamily

from opengenome_assets.monitoring.backups import backup_metrics
from opengenome_assets.monitoring.exporter import Reading, create_app
from opengenome_assets.monitoring.instance import InstanceMetrics
from opengenome_assets.monitoring.jobs import job_metrics
from opengenome_assets.monitoring.messages import Messenger, channels_of
from opengenome_assets.monitoring.settings import MonitoringSettings
from opengenome_assets.monitoring.telling import Teller
from opengenome_assets.operations.backup import Note, write_note
from opengenome_assets.service import app as service
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.monitoring.receivers import Letters, bodies, mail_server, receiver
from opengenome_assets_tests.monitoring.test_instance import CHECK, PLACE, InstigatorStatus, add_ticks, counted, make
from opengenome_assets_tests.processes import free_port, wait_for
from opengenome_assets_tests.service.lines import jobs_in, send

CONFIG = Path(__file__).parents[2] / "docker" / "monitoring"
PANELS = json.loads((CONFIG / "grafana" / "opengenome.json").read_text())["panels"]

pytestmark = [pytest.mark.peer, pytest.mark.slow]


def test_the_rules_fire_and_end_as_they_should(tool: Callable[[str], str]) -> None:
    answer = subprocess.run(
        [tool("promtool"), "test", "rules", str(CONFIG / "alerts_test.yml")], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_configurations_are_valid(tool: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(
        (CONFIG / "prometheus.yml").read_text().replace("/run/secrets/search_token", "/dev/null")
    )
    (tmp_path / "alerts.yml").write_text((CONFIG / "alerts.yml").read_text())
    checks = [[tool("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]]
    for number, mail in enumerate((True, False)):
        config = tmp_path / f"alertmanager-{number}.yml"
        given = {"OPENGENOME_SMTP_USER": "a|b&c", "OPENGENOME_MAIL_TO": "team@example.org"} if mail else {}
        filled = subprocess.run(
            [str(CONFIG / "alertmanager.sh"), "true"], env={**os.environ, "ALERTMANAGER_CONFIG": str(config), **given}
        )
        assert filled.returncode == 0
        assert ("a|b&c" in config.read_text()) == ("email_configs" in config.read_text()) == mail
        checks.append([tool("amtool"), "check-config", str(config)])
    for check in checks:
        answer = subprocess.run(check, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stdout + answer.stderr


@dataclass
class Stack:
    """An exporter, Prometheus and Alertmanager, with a mail server and a receiver; and what the exporter reads."""

    instance: dg.DagsterInstance
    prometheus: str
    letters: Letters
    accepted: list[tuple[dict[str, str], bytes]]
    serve: Callable[[], AbstractContextManager[None]]
    exporter: ExitStack
    is_away: bool = False
    workers: int = 2
    free: int = 50

    def open(self) -> dg.DagsterInstance:
        if self.is_away:
            raise ConnectionError("connection refused")
        return self.instance

    def query(self, expression: str) -> list[Any]:
        question = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?{question}", timeout=10) as answer:
            result: list[Any] = json.load(answer)["data"]["result"]
        return result

    def beat(self) -> None:
        self.instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", None, []))


@pytest.fixture(scope="module")
def stack(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The cluster's files, with other addresses and without waiting."""
    folder = tmp_path_factory.mktemp("stack")
    exporter, search, prometheus, alertmanager = (free_port() for _ in range(4))
    with ExitStack() as open_things:
        instance = open_things.enter_context(dg.instance_for_test())
        smtp, letters = open_things.enter_context(mail_server())
        url, accepted = open_things.enter_context(receiver())
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SENSOR", None, []))
        make(instance)
        failing = add_ticks(instance, PLACE)
        instance.update_instigator_state(failing.with_status(InstigatorStatus.STOPPED))

        found = Stack(
            instance,
            f"http://127.0.0.1:{prometheus}",
            letters,
            accepted,
            lambda: served(app, exporter),
            open_things.enter_context(ExitStack()),
        )
        patch = open_things.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(
            "opengenome_assets.monitoring.instance.shutil.disk_usage",
            lambda _: SimpleNamespace(total=100, used=100 - found.free, free=found.free),
        )
        messenger = Messenger(channels_of(MonitoringSettings.of({"webhook_url": url})))
        read = InstanceMetrics(found.open, [CHECK], str(folder))
        counts = {"": lambda: found.workers, "_expected": lambda: 2}
        jobs = jobs_in(folder / "home")
        send(jobs, folder / "sent")
        write_note(Home(str(folder / "home")), Note(place="/backup", every_hours=24, last=datetime.now(UTC)))
        app = create_app(
            Reading(
                [
                    read.read,
                    lambda: job_metrics(jobs, time.time()),
                    lambda: backup_metrics(str(folder / "home")),
                    lambda: [
                        GaugeMetricFamily(f"opengenome_spark_workers{each}", "", value=count())
                        for each, count in counts.items()
                    ],
                    messenger.metrics,
                ]
            ),
            ["127.0.0.1"],
            messenger,
            Teller(read, frozenset({"failures"})),
            interval=1,
        )
        searching = service.create_app(Settings.of({"home": str(folder / "home")}), ServerSettings.of({}))
        found.exporter.enter_context(found.serve())
        open_things.enter_context(served(searching, search))

        (folder / "token").touch()
        config = (CONFIG / "prometheus.yml").read_text()
        for name, value in {
            "15s": "1s",
            "metrics:3002": f"127.0.0.1:{exporter}",
            "alertmanager:9093": f"127.0.0.1:{alertmanager}",
            "/run/secrets/search_token": str(folder / "token"),
            "search:3001": f"127.0.0.1:{search}",
        }.items():
            assert name in config
            config = config.replace(name, value)
        (folder / "prometheus.yml").write_text(config.partition("  - job_name: spark-master")[0])
        (folder / "alerts.yml").write_text((CONFIG / "alerts.yml").read_text().replace("for: 30s", "for: 2s"))
        (folder / "alertmanager.yml").write_text(
            re.sub(r"(group_wait|group_interval): \S+", r"\1: 1s", (CONFIG / "alertmanager.yml").read_text())
        )
        (folder / "alertmanager.sh").write_bytes((CONFIG / "alertmanager.sh").read_bytes())
        for command, settings in (
            (
                [
                    tool("prometheus"),
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{prometheus}",
                ],
                {},
            ),
            (
                [
                    "sh",
                    f"{folder}/alertmanager.sh",
                    tool("prometheus-alertmanager"),
                    f"--storage.path={folder}/told",
                    f"--web.listen-address=127.0.0.1:{alertmanager}",
                    "--cluster.listen-address=",
                ],
                {
                    "ALERTMANAGER_CONFIG": f"{folder}/filled.yml",
                    "EXPORTER": f"http://127.0.0.1:{exporter}",
                    "OPENGENOME_SMTP_SERVER": smtp,
                    "OPENGENOME_SMTP_SECURITY": "none",
                    "OPENGENOME_MAIL_TO": "team@example.org",
                },
            ),
        ):
            log = open_things.enter_context((folder / "log").open("ab"))
            process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
            open_things.callback(process.wait)
            open_things.callback(process.send_signal, signal.SIGTERM)
        wait_for(lambda: _answers(found), "reading of Prometheus", 60, every=0.2)
        yield found


@contextmanager
def served(app: FastAPI, port: int) -> Iterator[None]:
    """Serve an application in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _answers(stack: Stack) -> bool:
    try:
        return bool(stack.query("dagster_exporter_last_scrape_success == 1"))
    except OSError:
        return False


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_query_of_the_dashboard_is_answered(panel: dict[str, Any], stack: Stack) -> None:
    for target in panel["targets"]:
        wait_for(lambda expression=target["expr"]: stack.query(expression), "answer", 30, every=0.2)


@contextmanager
def daemon(stack: Stack) -> Iterator[None]:
    """Let the daemon's last heartbeat be old."""
    stack.instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 80, "SENSOR", None, []))
    yield
    stack.beat()


@contextmanager
def run_that_hangs(stack: Stack) -> Iterator[None]:
    """Let a run have started an hour ago, and have logged nothing since."""
    job = dg.Definitions(assets=[counted], jobs=[dg.define_asset_job("hanging")]).resolve_job_def("hanging")
    run = stack.instance.create_run_for_job(job)
    started = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    stack.instance.report_dagster_event(started, run_id=run.run_id, timestamp=time.time() - 3600)
    yield
    stack.instance.report_run_canceled(run)


@contextmanager
def check(stack: Stack) -> Iterator[None]:
    """Let a check of an asset fail, and then pass."""
    make(stack.instance, passes=False)
    yield
    make(stack.instance)


@contextmanager
def sensor(stack: Stack) -> Iterator[None]:
    """Let a sensor fail on every tick, until it is stopped."""
    (state,) = stack.instance.all_instigator_state()
    stack.instance.update_instigator_state(state.with_status(InstigatorStatus.RUNNING))
    yield
    stack.instance.update_instigator_state(state)


@contextmanager
def reading(stack: Stack, **found: int) -> Iterator[None]:
    """Let the exporter find other numbers."""
    with pytest.MonkeyPatch.context() as patch:
        for name, number in found.items():
            patch.setattr(stack, name, number)
        yield


@contextmanager
def database(stack: Stack) -> Iterator[None]:
    """Let the database refuse connections, from the next event on."""
    stack.is_away = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack.instance.__class__, "get_asset_records", lambda *_, **__: stack.open())
        patch.setattr(stack.instance, "dispose", lambda: None)  # it is opened again as it is
        yield
    stack.is_away = False


@contextmanager
def exporter(stack: Stack) -> Iterator[None]:
    """End the exporter, and start it again."""
    stack.exporter.close()
    yield
    stack.exporter.enter_context(stack.serve())


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        (daemon, "DaemonDown"),
        (partial(reading, workers=1), "WorkerGone"),
        (database, "RecordsUnreadable"),
        (partial(reading, free=9), "DiskNearlyFull"),
        (run_that_hangs, "RunSilent"),
        (check, "CheckFailed"),
        (sensor, "SensorFailing"),
        (exporter, "ExporterDown"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_fault_is_told_by_mail_and_webhook_once_and_so_is_its_end(
    fault: Callable[[Stack], Any], rule: str, stack: Stack
) -> None:
    def told() -> tuple[list[str], list[bool]]:
        """Return the states in the subjects of mails, and those of the webhook's messages."""
        subjects = [str(letter["Subject"]) for letter in stack.letters.letters]
        mails = [subject.split("]")[0] for subject in subjects if rule in subject]
        return mails, [body["over"] for body in bodies(stack.accepted) if body["subject"].startswith(f"{rule}:")]

    stack.beat()
    wait_for(lambda: not stack.query(f'ALERTS{{alertname="{rule}"}}'), "change", 60, every=0.2)
    mails_before, hooks_before = map(len, told())
    by_webhook = fault is not exporter  # which sends them on: without it there is the mail alone
    with fault(stack):
        wait_for(
            lambda: len(told()[0]) > mails_before and len(told()[1]) >= hooks_before + by_webhook,
            "message", 60, every=0.2,
        )  # fmt: skip
        stack.beat()
    wait_for(lambda: len(told()[0]) == mails_before + 2 and told()[1][-1:] != [False], "end", 60, every=0.2)
    wait_for(lambda: not by_webhook or told()[1][-1:] == [True], "webhook's end", 60, every=0.2)
    mails, hooks = told()
    assert ["FIRING" in mail for mail in mails[mails_before:]] == [True, False]
    assert "RESOLVED" in mails[-1]
    assert hooks[hooks_before:] == [False, True] or not by_webhook
