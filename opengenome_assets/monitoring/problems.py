"""Problems: what an operator is told, as one list of rules for the status page, the messages and Prometheus.

``alerting_rules`` writes the same rules for a Prometheus server (``docker/monitoring/alerts.yml``, by ``make docs``),
so both judge alike. docs/operating.md has a runbook for each.

Belongs here: the rules, and comparing metrics with them. Does not belong here: sending (``messages.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client.core import Metric

from opengenome_assets import words

RUNBOOK = "https://github.com/opengenome-assets/opengenome-assets/blob/main/docs/operating.md"


@dataclass(frozen=True)
class Rule:
    """A rule: a problem for each series of a metric that is beyond a limit for some time.

    Attributes
    ----------
    name
        Its name, and that of its runbook.
    metric, where
        The series.
    measure
        ``value``; ``age``, the seconds since the value, a moment; or ``share``, the value divided by that of
        ``whole`` with the same labels.
    least
        Whether the smallest value of all series counts, as one problem: what stops together is told once.
    beyond, limit
        Whether values above or below the limit are a problem.
    seconds
        How long it has to last.
    severity
        ``page`` for one that stops the work, ``warning`` for one that can wait for the morning.
    summary
        One sentence; ``{value}`` and labels in braces are replaced.
    """

    name: str
    metric: str
    beyond: Literal[">", "<"]
    limit: float
    summary: str
    where: Mapping[str, str] = field(default_factory=dict)
    measure: Literal["value", "age", "share"] = "value"
    whole: str = ""
    least: bool = False
    seconds: int = 30
    severity: Literal["page", "warning"] = "page"

    def expression(self) -> str:
        """Return the rule in Prometheus' language."""
        where = ",".join(f'{name}="{value}"' for name, value in self.where.items())
        series = f"{self.metric}{{{where}}}" if where else self.metric
        series = f"min({series})" if self.least else series
        measured = {"value": series, "age": f"time() - {series}", "share": f"{series} / {self.whole}"}[self.measure]
        return f"{measured} {self.beyond} {self.limit:g}"

    def in_words(self, value: float) -> str:
        """Return a value as people read it."""
        if self.measure == "share":
            return words.percent(value, 0)
        return duration(value) if self.measure == "age" or self.metric.endswith("_seconds") else f"{value:,.0f}"


RULES = (
    Rule(
        "RecordsUnreadable",
        "dagster_exporter_last_scrape_success",
        "<",
        1,
        "Dagster's records cannot be read: the database is away, or its disk is full",
    ),
    Rule(
        "DaemonDown",
        "dagster_daemon_last_heartbeat_timestamp_seconds",
        ">",
        75,
        "Dagster's daemon, or a loop of it, has given no sign of life for {value}",
        measure="age",
        least=True,
        seconds=30,  # a daemon that starts has a heartbeat of long ago, until its first
    ),
    Rule(
        "RunFailed",
        "dagster_last_run_info",
        ">",
        0,
        "The last run of {job_name} failed",
        where={"status": "failure"},
        seconds=0,
    ),
    Rule(
        "RunQueuedLong",
        "dagster_active_run_duration_seconds",
        ">",
        1800,
        "A run of {job_name} has been in the queue for {value}",
        where={"status": "queued"},
        severity="warning",
    ),
    Rule(
        "RunNotStarting",
        "dagster_active_run_duration_seconds",
        ">",
        300,
        "A run of {job_name} has been starting for {value}",
        where={"status": "starting"},
    ),
    Rule(
        "RunSilent",
        "opengenome_run_last_event_timestamp_seconds",
        ">",
        3600,
        "A run of {job_name} goes on, and has logged nothing for {value}",
        measure="age",
    ),
    Rule(
        "CheckFailed",
        "opengenome_check_failed",
        ">",
        0,
        "The check {check_name} of {asset_key} failed",
        seconds=0,
        severity="warning",
    ),
    Rule(
        "SensorFailing",
        "opengenome_sensor_failed_ticks",
        ">",
        1,
        "The last {value} ticks of the sensor {sensor_name} failed",
        seconds=0,
        severity="warning",
    ),
    Rule(
        "ScheduleFailing",
        "opengenome_schedule_failed_ticks",
        ">",
        0,
        "The last {value} ticks of the schedule {schedule_name} failed",
        seconds=0,
        severity="warning",
    ),
    Rule(
        "DiskNearlyFull",
        "opengenome_disk_free_bytes",
        "<",
        0.1,
        "Only {value} of the disk of {path} is free",
        measure="share",
        whole="opengenome_disk_bytes",
    ),
    Rule(
        "WorkerGone",
        "opengenome_spark_workers",
        "<",
        1,
        "Only {value} of the Spark workers are there",
        measure="share",
        whole="opengenome_spark_workers_expected",
        severity="warning",
    ),
    Rule(
        "JobsWaiting",
        "opengenome_jobs_oldest_waiting_seconds",
        ">",
        1800,
        "A job of the kind {kind} has waited for {value}",
        severity="warning",
    ),
    Rule(
        "BackupFailed",
        "opengenome_backup_failed",
        ">",
        0,
        "The last backup at {place} failed",
        seconds=0,
        severity="warning",
    ),
    Rule(
        "BackupOverdue",
        "opengenome_backup_due_timestamp_seconds",
        ">",
        10800,
        "The next backup at {place} has been due for {value}",
        measure="age",
    ),
    # Only a Prometheus server sees these.
    Rule("ExporterDown", "up", "<", 1, "The exporter does not answer", where={"job": "opengenome"}),
    Rule("SearchDown", "up", "<", 1, "The search server does not answer", where={"job": "search"}),
)


@dataclass(frozen=True)
class Problem:
    """A series that is beyond the limit of a rule; ``subject`` holds its labels."""

    rule: Rule
    subject: tuple[tuple[str, str], ...]
    value: float

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What stays the same while it lasts."""
        return self.rule.name, self.subject

    @property
    def summary(self) -> str:
        """One sentence."""
        return self.rule.summary.format(**dict(self.subject), value=self.rule.in_words(self.value))

    @property
    def runbook(self) -> str:
        """Address of its runbook."""
        return f"{RUNBOOK}#{self.rule.name.lower()}"


def problems(metrics: Iterable[Metric], now: float, rules: Sequence[Rule] = RULES) -> Iterator[Problem]:
    """Yield what is beyond a limit at a moment, in seconds since the epoch."""
    series: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for metric in metrics:
        for sample in metric.samples:
            series.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    for rule in rules:
        found = {
            labels: value
            for labels, value in series.get(rule.metric, {}).items()
            if rule.where.items() <= dict(labels).items()
        }
        if rule.least and found:
            found = {(): min(found.values())}
        for labels, given in found.items():
            value = given
            if rule.measure == "age":
                value = now - given
            elif rule.measure == "share":
                whole = series.get(rule.whole, {}).get(labels)
                if not whole:
                    continue
                value = given / whole
            if value > rule.limit if rule.beyond == ">" else value < rule.limit:
                yield Problem(rule, labels, value)


class Tracker:
    """Follows problems over time: each begins once it has lasted, and ends once it is gone."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._open: dict[tuple[str, tuple[tuple[str, str], ...]], Problem] = {}

    def update(self, found: Iterable[Problem], now: float) -> tuple[list[Problem], list[Problem]]:
        """Take what there is at a moment; return the problems that begin, and those that are over."""
        present = {problem.key: problem for problem in found}
        self._first = {key: self._first.get(key, now) for key in present}
        begun = [
            problem
            for key, problem in present.items()
            if key not in self._open and now - self._first[key] >= problem.rule.seconds
        ]
        over = [problem for key, problem in self._open.items() if key not in present]
        self._open = {key: present[key] for key in self._open if key in present} | {each.key: each for each in begun}
        return begun, over

    def lasting(self, problem: Problem, now: float) -> float:
        """Return for how many seconds a problem has been there."""
        return now - self._first.get(problem.key, now)


def duration(seconds: float) -> str:
    """Write a duration in its largest two units: 2 h 5 min."""
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    known = [index for index, (count, _) in enumerate(parts) if count]
    first = known[0] if known else len(parts) - 1
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def alerting_rules() -> str:
    """Return the rules as a file of a Prometheus server."""
    lines = [
        "# Made from opengenome_assets/monitoring/problems.py by `make docs`.",
        "groups:",
        "  - name: opengenome",
        "    rules:",
    ]
    for rule in RULES:  # a string of JSON is one of YAML
        lines += [f"      - alert: {rule.name}", f"        expr: {json.dumps(rule.expression())}"]
        if rule.seconds:
            lines.append(f"        for: {rule.seconds}s")
        lines += [
            f"        labels: {{severity: {rule.severity}}}",
            "        annotations:",
            f"          summary: {json.dumps(_template(rule))}",
            f"          runbook_url: {RUNBOOK}#{rule.name.lower()}",
        ]
    return "\n".join(lines) + "\n"


def _template(rule: Rule) -> str:
    written = {"share": "humanizePercentage", "age": "humanizeDuration"}.get(rule.measure, "")
    if rule.metric.endswith("_seconds"):
        written = "humanizeDuration"
    value = f"{{{{ $value | {written} }}}}" if written else "{{ $value }}"
    return re.sub(
        r"\{(\w+)\}", lambda found: value if found[1] == "value" else f"{{{{ $labels.{found[1]} }}}}", rule.summary
    )
