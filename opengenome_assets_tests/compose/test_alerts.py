"""A cluster that is watched: each fault is on the status page, is told by mail and webhook once, and so is its end.

Faults of the services are made here. Those of records (a run that hangs, a check, a sensor) meet the same Prometheus
and Alertmanager in ``monitoring/test_prometheus.py``.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets_tests.compose.cluster import Cluster, docker
from opengenome_assets_tests.monitoring.receivers import Letters, bodies, mail_server, receiver
from opengenome_assets_tests.processes import REPOSITORY, free_port
from opengenome_assets_tests.webserver import wait_for

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
ALERT_SECONDS = 120  # within which Prometheus has to fire


@dataclass(frozen=True)
class Watched:
    """A cluster with Prometheus and Alertmanager, and what it has told."""

    cluster: Cluster
    letters: Letters
    accepted: list[tuple[dict[str, str], bytes]]

    def read(self, service: str, path: str) -> str:
        """Return what a page of a service says; nothing if it is away."""
        try:
            address = f"http://127.0.0.1:{self.cluster.settings[f'{service}_UI_PORT']}{path}"
            with urllib.request.urlopen(address, timeout=10) as answer:
                text: str = answer.read().decode()
        except OSError:
            return ""
        return text

    def alerts(self, rule: str, state: str = "firing") -> list[Any]:
        """Return the alerts of a rule, as Prometheus sees them."""
        question = urllib.parse.urlencode({"query": f'ALERTS{{alertname="{rule}",alertstate="{state}"}}'})
        found: list[Any] = json.loads(self.read("PROMETHEUS", f"/api/v1/query?{question}"))["data"]["result"]
        return found

    def daemon_lives(self) -> bool:
        """Return whether Prometheus has read a heartbeat of the daemon that is no older than is due."""
        age = "time() - min(dagster_daemon_last_heartbeat_timestamp_seconds) < 60"
        question = urllib.parse.urlencode({"query": age})
        return bool(json.loads(self.read("PROMETHEUS", f"/api/v1/query?{question}"))["data"]["result"])

    def mails(self, rule: str) -> list[str]:
        """Return the states of the mails on a rule: FIRING or RESOLVED."""
        subjects = [str(letter["Subject"]) for letter in self.letters.letters]
        return [subject.removeprefix("[").partition(":")[0].split("]")[0] for subject in subjects if rule in subject]

    def hooks(self, rule: str) -> list[bool]:
        """Return the messages of the webhook on a rule: whether each says that it is over."""
        return [body["over"] for body in bodies(self.accepted) if body["subject"].startswith(f"{rule}:")]


@pytest.fixture(scope="module")
def watched(cluster: Cluster, tool: Callable[[str], str]) -> Iterator[Watched]:
    """The cluster with the overlay of monitoring, whose services are Debian's programs."""
    for program in PROGRAMS:
        tool(program)
    (network,) = json.loads(docker("network", "inspect", f"{cluster.project}_cluster"))
    gateway: str = network["IPAM"]["Config"][0]["Gateway"]  # by which containers reach this machine
    with mail_server(host=gateway) as (smtp, letters), receiver(host=gateway) as (url, accepted):
        overlaid = replace(
            cluster,
            files=[
                *cluster.files,
                REPOSITORY / "docker" / "compose.monitoring.yml",
                Path(__file__).with_name("debian-monitoring.yml"),
            ],
            settings={
                **cluster.settings,
                "OPENGENOME_SMTP_SERVER": smtp,
                "OPENGENOME_SMTP_SECURITY": "none",
                "OPENGENOME_MAIL_TO": "team@example.org",
                "OPENGENOME_WEBHOOK_URL": url,
                "PROMETHEUS_UI_PORT": str(free_port()),
                "ALERTMANAGER_UI_PORT": str(free_port()),
            },
        )
        try:
            overlaid.compose("up", "--detach", "--wait", "--no-build", "prometheus", "alertmanager", "metrics")
            yield Watched(overlaid, letters, accepted)
        finally:
            cluster.compose("up", "--detach", "--wait", "--no-build", "--remove-orphans")


@contextmanager
def stopped(cluster: Cluster, service: str) -> Iterator[None]:
    """A service is stopped, and started again."""
    cluster.compose("stop", service)
    try:
        yield
    finally:
        cluster.compose("start", service)


@contextmanager
def worker_gone(cluster: Cluster) -> Iterator[None]:
    """One of two workers is killed, and not started again by the engine."""
    worker = cluster.containers("spark-worker")[0]["Id"]
    docker("kill", worker)
    try:
        yield
    finally:
        docker("start", worker)


@contextmanager
def full_disk(cluster: Cluster) -> Iterator[None]:
    """A file leaves about 5 % of the home's disk."""
    size = "$(($(df --output=avail -B1 /data | tail -n 1) - $(df --output=size -B1 /data | tail -n 1) / 20))"
    cluster.execute("dagster-webserver", "sh", "-c", f"head -c {size} /dev/zero > /data/filler")
    try:
        yield
    finally:
        cluster.execute("dagster-webserver", "rm", "/data/filler")


FAULTS = {
    "DaemonDown": lambda cluster: stopped(cluster, "dagster-daemon"),
    "WorkerGone": worker_gone,
    "RecordsUnreadable": lambda cluster: stopped(cluster, "postgres"),
    "DiskNearlyFull": full_disk,
    "ExporterDown": lambda cluster: stopped(cluster, "metrics"),
}


@pytest.mark.parametrize(
    "rule", [rule if rule == "DaemonDown" else pytest.param(rule, marks=pytest.mark.drill) for rule in FAULTS]
)
def test_a_fault_of_a_service_is_seen_and_told_once_and_so_is_its_end(rule: str, watched: Watched) -> None:
    fault: AbstractContextManager[None] = FAULTS[rule](watched.cluster)
    by_exporter = rule != "ExporterDown"  # which has the page, and sends the webhook's messages on
    anchor = f"#{rule.lower()}"
    wait_for(
        lambda: watched.daemon_lives() and not watched.alerts(rule) and not watched.alerts(rule, "pending"),
        "quiet cluster",
        120,
    )
    assert watched.mails(rule) == []
    began = time.monotonic()
    with fault:
        wait_for(lambda: watched.alerts(rule), f"alert {rule}", ALERT_SECONDS)
        times = [f"alert after {time.monotonic() - began:.0f} s"]
        # The page is as old as the exporter's last reading; Prometheus judges ages by its own clock.
        wait_for(lambda: (anchor in watched.read("STATUS", "/status")) == by_exporter, "status page", 60)
        wait_for(lambda: watched.mails(rule) and (watched.hooks(rule) or not by_exporter), "its messages", 90)
        times.append(f"mail after {time.monotonic() - began:.0f} s")
        began = time.monotonic()
    wait_for(lambda: "RESOLVED" in watched.mails(rule), "mail of the end", 360)
    times.append(f"mail of the end after {time.monotonic() - began:.0f} s")
    wait_for(lambda: watched.hooks(rule)[-1:] == [True] or not by_exporter, "webhook's message of the end", 60)
    assert watched.mails(rule) == ["FIRING", "RESOLVED"]
    assert watched.hooks(rule) in ([[False, True]] if by_exporter else [[], [False, True]])
    page = wait_for(lambda: watched.read("STATUS", "/status"), "status page", 60)
    assert anchor not in page
    print(f"{rule}: {', '.join(times)}")
    watched.cluster.wait_healthy("postgres", "dagster-code", "dagster-daemon", "dagster-webserver", "metrics")
