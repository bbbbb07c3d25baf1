"""The status page: problems first, then runs, daemons, sensors, assets and disk, from the exporter's metrics alone.

Belongs here: arranging samples for people. Does not belong here: the rules (``problems.py``), and reading the instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from prometheus_client.core import Metric

from opengenome_assets import words
from opengenome_assets.monitoring.problems import Problem, Tracker, duration
from opengenome_assets.terminal import in_bytes

TEMPLATE = "status.html.j2"


def status_page(
    metrics: Iterable[Metric], problems: Sequence[Problem], tracker: Tracker, now: float, interval: float
) -> str:
    """Return the page.

    Parameters
    ----------
    metrics
        The exporter's metrics.
    problems
        What is wrong now, in the order of the rules.
    tracker
        Knows since when.
    now
        The moment of the reading, in seconds since the epoch; 0 before the first.
    interval
        Seconds until the page is loaded again.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    samples = _Samples(metrics, now)
    return environment.get_template(TEMPLATE).render(
        at=datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if now else None,
        interval=max(1, round(interval)),
        problems=[
            {
                "name": each.rule.name,
                "summary": each.summary,
                "runbook": each.runbook,
                "severity": each.rule.severity,
                "lasting": duration(tracker.lasting(each, now)),
            }
            for each in problems
        ],
        readable=samples.value("dagster_exporter_last_scrape_success") == 1,
        tiles=samples.tiles(),
        sections=samples.sections(),
    )


class _Samples:
    """The samples by name, as rows of tables."""

    def __init__(self, metrics: Iterable[Metric], now: float) -> None:
        self.now = now
        self.series: dict[str, list[tuple[dict[str, str], float]]] = {}
        for metric in metrics:
            for sample in metric.samples:
                self.series.setdefault(sample.name, []).append((sample.labels, sample.value))

    def get(self, name: str) -> list[tuple[dict[str, str], float]]:
        return self.series.get(name, [])

    def value(self, name: str, **labels: str) -> float | None:
        """Return the sum over the series with these labels; None if there is none."""
        found = [value for given, value in self.get(name) if labels.items() <= given.items()]
        return sum(found) if found else None

    def ago(self, moment: float) -> str:
        return f"{duration(max(0, self.now - moment))} ago"

    def tiles(self) -> list[tuple[str, str]]:
        waiting = sum(self.value("dagster_active_runs", status=each) or 0 for each in ("queued", "starting"))
        tiles = [
            ("runs going on", words.count(self.value("dagster_active_runs", status="started") or 0)),
            ("runs waiting", words.count(waiting)),
            ("checks failed", words.count(self.value("opengenome_check_failed") or 0)),
        ]
        for labels, free in self.get("opengenome_disk_free_bytes"):
            whole = self.value("opengenome_disk_bytes", **labels) or 1
            tiles.append(("disk free", f"{in_bytes(int(free))} of {in_bytes(int(whole))}"))
        workers = self.value("opengenome_spark_workers")
        if workers is not None:
            expected = self.value("opengenome_spark_workers_expected") or 0
            tiles.append(("Spark workers", f"{workers:.0f} of {expected:.0f}"))
        return tiles

    def sections(self) -> list[dict[str, Any]]:
        """Return each table: its title, heading, rows, and what is said if it has none."""
        return [
            {
                "title": "Runs",
                "heading": ("job", "last run", "ended", "took", "queued", "going on"),
                "rows": [
                    (
                        labels["job_name"],
                        labels["status"],
                        self.ago(end),
                        duration(self.value("dagster_last_run_duration_seconds", **labels) or 0),
                        *(
                            words.count(self.value("dagster_active_runs", **(labels | {"status": status})) or 0)
                            for status in ("queued", "started")
                        ),
                    )
                    for labels, end in sorted(self.get("dagster_last_run_timestamp_seconds"), key=_by_labels)
                ],
                "none": "No run has ended yet.",
            },
            {
                "title": "Jobs that were sent",
                "heading": ("kind", "waiting", "oldest waits", "running", "done", "failed", "cancelled"),
                "rows": [
                    (
                        labels["kind"],
                        self._jobs(labels["kind"], "waiting"),
                        duration(seconds) if seconds else words.MISSING,
                        *(self._jobs(labels["kind"], each) for each in ("running", "done", "failed", "cancelled")),
                    )
                    for labels, seconds in sorted(self.get("opengenome_jobs_oldest_waiting_seconds"), key=_by_labels)
                ],
                "none": "No job was sent.",
            },
            {
                "title": "Checks that failed last",
                "heading": ("asset", "check", "severity"),
                "rows": [
                    (labels["asset_key"], labels["check_name"], labels["severity"])
                    for labels, value in sorted(self.get("opengenome_check_failed"), key=_by_labels)
                    if value
                ],
                "none": "None.",
            },
            {
                "title": "Daemons",
                "heading": ("daemon", "last heartbeat"),
                "rows": [
                    (labels["daemon_type"].replace("_", " ").lower(), self.ago(moment))
                    for labels, moment in sorted(
                        self.get("dagster_daemon_last_heartbeat_timestamp_seconds"), key=_by_labels
                    )
                ],
                "none": "No daemon has run here. Queue, sensors and schedules need one.",
            },
            {
                "title": "Sensors and schedules",
                "heading": ("name", "kind", "last tick", "outcome", "failed in a row"),
                "rows": [
                    row
                    for kind in ("sensor", "schedule")
                    for labels, moment in sorted(
                        self.get(f"dagster_{kind}_last_tick_timestamp_seconds"), key=_by_labels
                    )
                    for row in [self._tick(kind, labels[f"{kind}_name"], moment)]
                ],
                "none": "None has ticked yet.",
            },
            {
                "title": "Scheduled backups",
                "heading": ("place", "newest", "last attempt"),
                "rows": [
                    (
                        labels["place"],
                        words.MISSING if began is None else self.ago(began),
                        "failed" if failed else "done",
                    )
                    for labels, failed in self.get("opengenome_backup_failed")
                    for began in [self.value("opengenome_backup_last_timestamp_seconds", **labels)]
                ],
                "none": "None is scheduled.",
            },
            {
                "title": "Assets",
                "heading": ("asset", "made", "took", "rows", "size", "bases", "parts reused"),
                "rows": [
                    (
                        labels["asset_key"],
                        self.ago(moment),
                        *(
                            words.MISSING if value is None else write(value)
                            for write, value in (
                                (duration, self.value("opengenome_asset_seconds", **labels)),
                                (words.count, self.value("opengenome_asset_rows", **labels)),
                                (_size, self.value("opengenome_asset_bytes", **labels)),
                                (words.bases, self.value("opengenome_asset_bases", **labels)),
                                (words.count, self.value("opengenome_asset_parts_reused", **labels)),
                            )
                        ),
                    )
                    for labels, moment in sorted(
                        self.get("dagster_asset_last_materialization_timestamp_seconds"), key=_by_labels
                    )
                ],
                "none": "None has been made yet.",
            },
        ]

    def _jobs(self, kind: str, state: str) -> str:
        return words.count(self.value("opengenome_jobs", kind=kind, state=state) or 0)

    def _tick(self, kind: str, name: str, moment: float) -> tuple[str, ...]:
        label = f"{kind}_name"
        outcome = next(
            labels["status"] for labels, _ in self.get(f"dagster_{kind}_last_tick_status") if labels[label] == name
        )
        failed = self.value(f"opengenome_{kind}_failed_ticks", **{label: name}) or 0
        return name, kind, self.ago(moment), outcome, words.count(failed)


def _by_labels(sample: tuple[dict[str, str], float]) -> list[str]:
    return list(sample[0].values())


def _size(count: float) -> str:
    return in_bytes(int(count))
