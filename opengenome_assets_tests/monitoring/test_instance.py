"""Metrics are what Dagster's instance holds: runs, materialisations, checks, ticks, heartbeats."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo

from opengenome_assets.monitoring.instance import InstanceMetrics

PLACE = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all")
CHECK = dg.AssetCheckKey(dg.AssetKey("counted"), "is_whole")


class Switch(dg.Config):
    """What the asset does."""

    passes: bool = True
    works: bool = True


@dg.asset(check_specs=[dg.AssetCheckSpec("is_whole", asset="counted")])
def counted(config: Switch) -> dg.MaterializeResult:
    if not config.works:
        raise dg.Failure("broken on purpose")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": 7,
            "megabytes": 0.5,
            "seconds": 2.5,
            "bases_scanned": 900,
            "shards_reused": 3,
            "bases_reused": 0,
        },
        check_results=[dg.AssetCheckResult(passed=config.passes, check_name="is_whole")],
    )


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def metrics(instance: dg.DagsterInstance, home: Path) -> InstanceMetrics:
    return InstanceMetrics(lambda: instance, [CHECK], str(home))


def samples(read: InstanceMetrics) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels."""
    return {(sample.name, *sample.labels.values()): sample.value for metric in read.read() for sample in metric.samples}


def make(instance: dg.DagsterInstance, **switch: bool) -> str:
    config = dg.RunConfig(ops={"counted": Switch(**switch)})
    return dg.materialize([counted], instance=instance, run_config=config, raise_on_error=False).run_id


def ended(job: str, found: dict[tuple[str, ...], float]) -> dict[str, float]:
    return {key[3]: value for key, value in found.items() if key[:2] == ("dagster_completed_runs_total", job)}


@pytest.mark.long
def test_an_asset_has_its_numbers_and_its_moment(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    before = time.time()
    make(instance)
    found = samples(metrics(instance, tmp_path))
    assert before <= found["dagster_asset_last_materialization_timestamp_seconds", "counted"] <= time.time()
    expected = {"rows": 7, "bytes": 5e5, "seconds": 2.5, "bases": 900, "parts_reused": 3}
    assert {name: found[f"opengenome_asset_{name}", "counted"] for name in expected} == expected


@pytest.mark.long
def test_runs_are_counted_from_the_first_reading_and_checks_show_their_last_outcome(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    old = make(instance, passes=False)
    read = metrics(instance, tmp_path)
    found = samples(read)
    job = next(key[1] for key in found if key[0] == "dagster_last_run_info")
    assert ended(job, found) == {"success": 0, "failure": 0, "canceled": 0}
    assert found["dagster_last_run_info", job, "__unknown__", "success"] == 1
    assert found["opengenome_check_failed", "counted", "is_whole", "error"] == 1
    make(instance)
    make(instance, works=False)
    instance.add_run_tags(old, {"note": "long ago"})  # updates its record
    for _ in range(2):
        found = samples(read)
        assert ended(job, found) == {"success": 1, "failure": 1, "canceled": 0}
    assert found["dagster_last_run_info", job, "__unknown__", "failure"] == 1
    assert ("dagster_last_run_info", job, "__unknown__", "success") not in found
    assert 0 < found["dagster_last_run_duration_seconds", job, "__unknown__", "failure"] < 60
    assert found["opengenome_check_failed", "counted", "is_whole", "error"] == 0


@pytest.mark.parametrize(
    ("status", "word"), [(dg.DagsterRunStatus.QUEUED, "queued"), (dg.DagsterRunStatus.STARTED, "started")]
)
@pytest.mark.long
def test_active_runs_have_a_number_and_an_age(
    status: dg.DagsterRunStatus, word: str, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    job = dg.Definitions(assets=[counted], jobs=[dg.define_asset_job("nightly")]).resolve_job_def("nightly")
    for _ in range(2):
        instance.create_run_for_job(
            job,
            status=status,
            remote_job_origin=RemoteJobOrigin(PLACE, "nightly"),
            job_code_origin=None,
        )
    read = InstanceMetrics(lambda: instance, [], str(tmp_path), clock=lambda: time.time() + 500)
    found = samples(read)
    assert found["dagster_active_runs", "nightly", "here", word] == 2
    assert found["dagster_active_run_duration_seconds", "nightly", "here", word] == pytest.approx(500, abs=20)
    silent = ("opengenome_run_last_event_timestamp_seconds", "nightly", "here")
    assert (silent in found) == (word == "started")


def add_ticks(instance: dg.DagsterInstance, place: RemoteRepositoryOrigin) -> InstigatorState:
    """Add a running sensor whose last two finished ticks failed, and which ticks now."""
    origin = RemoteInstigatorOrigin(place, "watch")
    data = SensorInstigatorData(min_interval=30)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
    instance.add_instigator_state(state)
    statuses = (TickStatus.FAILURE, TickStatus.SKIPPED, TickStatus.FAILURE, TickStatus.FAILURE, TickStatus.STARTED)
    for moment, status in enumerate(statuses):
        error = SerializableErrorInfo("broken on purpose", [], None) if status == TickStatus.FAILURE else None
        tick = TickData(
            origin.get_id(),
            "watch",
            InstigatorType.SENSOR,
            status,
            1000.0 + moment,
            selector_id=state.selector_id,
            error=error,
        )
        instance.create_tick(tick)
    return state


def test_failed_ticks_in_a_row_are_counted_unless_the_sensor_is_stopped(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    state = add_ticks(instance, PLACE)
    read = metrics(instance, tmp_path)
    found = samples(read)
    assert found["opengenome_sensor_failed_ticks", "watch"] == 2
    assert found["dagster_sensor_last_tick_status", "watch", "started"] == 1
    assert found["dagster_sensor_last_tick_timestamp_seconds", "watch"] == 1004
    instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))
    assert samples(read)["opengenome_sensor_failed_ticks", "watch"] == 0


def test_a_daemon_has_the_moment_of_its_heartbeat(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(1234.0, "SENSOR", None, []))
    instance.add_daemon_heartbeat(DaemonHeartbeat(1234.0, "MONITORING", None, []))  # not required here
    found = samples(metrics(instance, tmp_path))
    beats = {key[1:]: value for key, value in found.items() if key[0].startswith("dagster_daemon_")}
    assert beats == {("SENSOR",): 1234.0}


def test_a_database_that_is_away_is_a_metric_and_is_opened_again(
    instance: dg.DagsterInstance, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = []

    def opened() -> dg.DagsterInstance:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("connection refused\nIs the server running?")
        return instance

    read = InstanceMetrics(opened, [CHECK], str(tmp_path))
    found = samples(read)
    assert found["dagster_exporter_last_scrape_success",] == 0
    assert found["opengenome_disk_bytes", str(tmp_path)] > found["opengenome_disk_free_bytes", str(tmp_path)] > 0
    assert "connection refused Is the server running?" in caplog.text
    assert samples(read)["dagster_exporter_last_scrape_success",] == 1
