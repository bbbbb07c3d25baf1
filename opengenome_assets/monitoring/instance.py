"""Metrics of Dagster's instance: runs, assets, checks, sensors and schedules, daemons, and free disk.

Names and labels are those of the community's exporter (HirofumiTsuda/dagster-prometheus-exporter), so that its
dashboards fit; ``opengenome_*`` are our own. Everything is read from Dagster's storage, without the webserver.

Belongs here: turning records into samples. Does not belong here: when they are read (``exporter.py``), and which values
are too high (``problems.py``).
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from dagster import AssetCheckKey, DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from opengenome_assets.framework.private import AssetCheckExecutionRecordStatus, InstigatorType
from opengenome_assets.settings import local_home

LOG = logging.getLogger("opengenome.metrics")

ACTIVE = {
    DagsterRunStatus.QUEUED: "queued",
    DagsterRunStatus.NOT_STARTED: "starting",
    DagsterRunStatus.STARTING: "starting",
    DagsterRunStatus.STARTED: "started",
    DagsterRunStatus.CANCELING: "canceling",
}
ENDED = {
    DagsterRunStatus.SUCCESS: "success",
    DagsterRunStatus.FAILURE: "failure",
    DagsterRunStatus.CANCELED: "canceled",
}
RUN_LABELS = ("job_name", "location", "status")
KINDS = {InstigatorType.SENSOR: "sensor", InstigatorType.SCHEDULE: "schedule"}

EPOCH = datetime.fromtimestamp(0, UTC)
OVERLAP = timedelta(seconds=60)

# Maximum number of runs read at a time. More active ones than that are counted as that many.
RUNS_READ = 1000
# Newest ended runs that are read at the start, for each job's last run.
RUNS_REMEMBERED = 200
# Newest ticks of a sensor that are read, for the number of failed ones in a row.
TICKS_READ = 5

# Newest executions of a check that are read, for its last outcome.
CHECKS_READ = 10
EVALUATED = (AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED)

# Metadata of a materialisation, with the metric that has it. A making counts bases under one of two names.
NUMBERS = {
    "dagster/row_count": ("rows", 1.0),
    "megabytes": ("bytes", 1e6),
    "seconds": ("seconds", 1.0),
    "bases": ("bases", 1.0),
    "bases_scanned": ("bases", 1.0),
    "bases_reused": ("bases_reused", 1.0),
    "shards_reused": ("parts_reused", 1.0),
    "files_reused": ("parts_reused", 1.0),
    "batches_reused": ("parts_reused", 1.0),
    "units_reused": ("parts_reused", 1.0),
    "reports_reused": ("parts_reused", 1.0),
    "units_failed": ("parts_failed", 1.0),
}
NUMBER_WORDS = {
    "rows": "Rows of the table, as the last materialisation has them",
    "bytes": "Bytes of the table's newest version, as the last materialisation has them",
    "seconds": "Time that the last materialisation took",
    "bases": "Bases that the last materialisation covered, reused ones not included",
    "bases_reused": "Bases whose results the last materialisation reused",
    "parts_reused": "Parts (shards, files, batches, units or reports) that the last materialisation reused",
    "parts_failed": "Units that failed in the last materialisation",
}


class InstanceMetrics:
    """Reads an instance. A counter counts from the first reading, as Prometheus expects.

    Parameters
    ----------
    opened
        Opens the instance; called again after a failure, since a database may have been away.
    checks
        The asset checks of the platform.
    home
        Address of the home, whose disk is measured if it is a folder.
    clock
        Seconds since the epoch.
    """

    def __init__(
        self,
        opened: Callable[[], DagsterInstance],
        checks: Sequence[AssetCheckKey],
        home: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.opened = opened
        self.checks = list(checks)
        self.home = home
        self.clock = clock
        self.instance: DagsterInstance | None = None
        self.ended: list[RunRecord] = []  # those that the last reading found, oldest first
        self._last: dict[tuple[str, str], RunRecord] = {}
        self._counts: dict[tuple[str, str, str], int] = defaultdict(int)
        self._since: datetime | None = None
        self._began = 0.0
        self._seen: set[str] = set()

    def read(self) -> list[Metric]:
        """Return all metrics. If the instance cannot be read, only the disk and that it failed."""
        success = GaugeMetricFamily("dagster_exporter_last_scrape_success", "1 if Dagster's storage could be read")
        took = GaugeMetricFamily("dagster_exporter_last_scrape_duration_seconds", "Time that reading it took")
        started, self.ended = time.perf_counter(), []
        metrics: list[Metric] = []
        try:
            self.instance = self.instance or self.opened()
            metrics = list(self._read(self.instance))
        except Exception as error:  # whatever the storage raises: the metric says so, and the next reading tries again
            LOG.warning("Dagster's storage cannot be read: %s", " ".join(str(error).split())[:300])
            if self.instance is not None:
                self.instance.dispose()
                self.instance = None
        success.add_metric([], float(bool(metrics)))
        took.add_metric([], time.perf_counter() - started)
        return [*metrics, success, took, *self._disk()]

    def _read(self, instance: DagsterInstance) -> Iterator[Metric]:
        yield from self._ended_runs(instance)
        yield from self._active_runs(instance)
        yield from self._assets(instance)
        yield self._failed_checks(instance)
        yield from self._ticks(instance)
        yield from self._daemons(instance)

    def _ended_runs(self, instance: DagsterInstance) -> Iterator[Metric]:
        """Count the runs that ended since the last reading; the first reading only learns each job's last run."""
        first = self._since is None
        # Some get their moment late, so the newest are read again, and known by their ids.
        after = self._since and self._since - OVERLAP
        wanted = RunsFilter(statuses=list(ENDED), updated_after=after)
        records = instance.get_run_records(wanted, limit=RUNS_REMEMBERED if first else RUNS_READ)
        # A tag on a run that ended long ago updates its record too.
        fresh = sorted(
            (each for each in records if each.dagster_run.run_id not in self._seen and (first or self._is_new(each))),
            key=_end,
        )
        for record in fresh:
            job, status = _job(record.dagster_run), ENDED[record.dagster_run.status]
            self._last[job] = record
            for each in ENDED.values():  # a series that begins at 1 would not count as an increase
                self._counts[*job, each] += 0
            self._counts[*job, status] += not first
        self.ended = [] if first else fresh
        self._seen |= {each.dagster_run.run_id for each in fresh}
        self._since = max((each.update_timestamp for each in records), default=self._since or EPOCH)
        self._began = self.clock() if first else self._began

        completed = CounterMetricFamily(
            "dagster_completed_runs", "Runs ended since the exporter started", labels=RUN_LABELS
        )
        for labels, count in self._counts.items():
            completed.add_metric(labels, count)
        info = GaugeMetricFamily("dagster_last_run_info", "Status of a job's last run", labels=RUN_LABELS)
        seconds = GaugeMetricFamily(
            "dagster_last_run_duration_seconds", "Duration of a job's last run", labels=RUN_LABELS
        )
        at = GaugeMetricFamily("dagster_last_run_timestamp_seconds", "End of a job's last run", labels=RUN_LABELS)
        for job, record in self._last.items():
            labels = (*job, ENDED[record.dagster_run.status])
            end = _end(record)
            info.add_metric(labels, 1)
            seconds.add_metric(labels, end - (record.start_time or record.create_timestamp.timestamp()))
            at.add_metric(labels, end)
        yield from (completed, info, seconds, at)

    def _is_new(self, record: RunRecord) -> bool:
        return _end(record) >= self._began - OVERLAP.total_seconds()

    def _active_runs(self, instance: DagsterInstance) -> Iterator[Metric]:
        active = GaugeMetricFamily("dagster_active_runs", "Runs that have not ended", labels=RUN_LABELS)
        oldest = GaugeMetricFamily(
            "dagster_active_run_duration_seconds", "Longest time that one of them has its status", labels=RUN_LABELS
        )
        event = GaugeMetricFamily(
            "opengenome_run_last_event_timestamp_seconds",
            "Newest event of the started run that has been silent for longest",
            labels=RUN_LABELS[:2],
        )
        now = self.clock()
        ages: dict[tuple[str, str, str], list[float]] = {
            (*job, status): [] for job in self._last for status in dict.fromkeys(ACTIVE.values())
        }
        events: dict[tuple[str, str], float] = {}
        for record in instance.get_run_records(RunsFilter(statuses=list(ACTIVE)), limit=RUNS_READ):
            run = record.dagster_run
            job, status = _job(run), ACTIVE[run.status]
            ages.setdefault((*job, status), []).append(now - record.update_timestamp.timestamp())
            if status == "started":
                newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
                moment = newest[0].timestamp if newest else record.update_timestamp.timestamp()
                events[job] = min(moment, events.get(job, moment))
        for key, values in ages.items():
            active.add_metric(key, len(values))
            oldest.add_metric(key, max(values, default=0))
        for job, moment in events.items():
            event.add_metric(job, moment)
        yield from (active, oldest, event)

    def _assets(self, instance: DagsterInstance) -> Iterator[Metric]:
        at = GaugeMetricFamily(
            "dagster_asset_last_materialization_timestamp_seconds", "Last materialisation", labels=["asset_key"]
        )
        numbers = {
            name: GaugeMetricFamily(f"opengenome_asset_{name}", words, labels=["asset_key"])
            for name, words in NUMBER_WORDS.items()
        }
        for record in instance.get_asset_records():
            entry = record.asset_entry
            made = entry.last_materialization
            if made is None or made.asset_materialization is None:
                continue
            key = [entry.asset_key.to_user_string()]
            at.add_metric(key, made.timestamp)
            for given, (name, factor) in NUMBERS.items():
                value = made.asset_materialization.metadata.get(given)
                if value is not None and isinstance(value.value, int | float):
                    numbers[name].add_metric(key, value.value * factor)
        yield from (at, *numbers.values())

    def _failed_checks(self, instance: DagsterInstance) -> Metric:
        failed = GaugeMetricFamily(
            "opengenome_check_failed", "1 if the check failed last", labels=["asset_key", "check_name", "severity"]
        )
        records = instance.event_log_storage.get_latest_asset_check_execution_by_key(self.checks)
        for key, record in records.items():
            if record.status == AssetCheckExecutionRecordStatus.PLANNED:
                # A run that goes on, or failed before the check. What the check said before still stands.
                history = instance.event_log_storage.get_asset_check_execution_history(key, limit=CHECKS_READ)
                record = next((each for each in history if each.status in EVALUATED), record)
            event = record.event and record.event.dagster_event
            if record.status not in EVALUATED or event is None:
                continue
            severity = event.asset_check_evaluation_data.severity.value.lower()
            labels = [key.asset_key.to_user_string(), key.name, severity]
            failed.add_metric(labels, float(record.status == AssetCheckExecutionRecordStatus.FAILED))
        return failed

    def _ticks(self, instance: DagsterInstance) -> Iterator[Metric]:
        for kind, word in KINDS.items():
            name = f"{word}_name"
            status = GaugeMetricFamily(
                f"dagster_{word}_last_tick_status", f"Status of the {word}'s last tick", labels=[name, "status"]
            )
            at = GaugeMetricFamily(
                f"dagster_{word}_last_tick_timestamp_seconds", f"The {word}'s last tick", labels=[name]
            )
            failures = GaugeMetricFamily(
                f"opengenome_{word}_failed_ticks",
                f"Failed ticks in a row, of the last {TICKS_READ}; 0 for a stopped {word}",
                labels=[name],
            )
            for state in instance.all_instigator_state(instigator_type=kind):
                ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=TICKS_READ)
                ended = [tick for tick in ticks if tick.status.value != "STARTED"]
                in_a_row = next(
                    (index for index, tick in enumerate(ended) if tick.status.value != "FAILURE"), len(ended)
                )
                failures.add_metric([state.name], in_a_row if state.is_running else 0)
                if ticks:
                    status.add_metric([state.name, ticks[0].status.value.lower()], 1)
                    at.add_metric([state.name], ticks[0].timestamp)
            yield from (status, at, failures)

    def _daemons(self, instance: DagsterInstance) -> Iterator[Metric]:
        """Export moments, not Dagster's verdict: it calls a daemon healthy for half an hour after its last sign."""
        beat = GaugeMetricFamily(
            "dagster_daemon_last_heartbeat_timestamp_seconds", "The daemon's last heartbeat", labels=["daemon_type"]
        )
        for kind, heartbeat in instance.get_daemon_heartbeats().items():
            if kind in instance.get_required_daemon_types():
                beat.add_metric([kind], heartbeat.timestamp)
        yield beat

    def _disk(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("opengenome_disk_free_bytes", "Free bytes of the home's disk", labels=["path"])
        size = GaugeMetricFamily("opengenome_disk_bytes", "Size of the home's disk", labels=["path"])
        path = local_home(self.home)
        try:
            usage = shutil.disk_usage(path)
        except OSError as error:
            LOG.warning("The disk of %s cannot be measured: %s", path, error.strerror)
        else:
            free.add_metric([str(path)], usage.free)
            size.add_metric([str(path)], usage.total)
        yield from (free, size)


def _job(run: DagsterRun) -> tuple[str, str]:
    """Return a run's job and code location; Dagster knows none of a run from the command line."""
    origin = run.remote_job_origin
    return run.job_name, origin.location_name if origin else "__unknown__"


def _end(record: RunRecord) -> float:
    """Return when a run ended, in seconds since the epoch. A run that was ended by force has no time of its own."""
    return record.end_time or record.update_timestamp.timestamp()
