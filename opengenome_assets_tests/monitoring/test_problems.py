"""Rules: what is beyond a limit is a problem, begins after a time, and ends; Prometheus has the same rules."""

from pathlib import Path

import pytest
from prometheus_client.core import GaugeMetricFamily

from opengenome_assets.monitoring.problems import RULES, Rule, Tracker, duration, problems

REPOSITORY = Path(__file__).parents[2]
BEAT = "dagster_daemon_last_heartbeat_timestamp_seconds"


def gauge(name: str, value: float, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, name, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


@pytest.mark.parametrize(
    ("metrics", "summary"),
    [
        (
            [gauge(BEAT, 900, daemon_type="SENSOR"), gauge(BEAT, 901, daemon_type="ASSET")],
            "Dagster's daemon, or a loop of it, has given no sign of life for 1 min 40 s",
        ),
        ([gauge(BEAT, 990, daemon_type="SENSOR")], None),
        ([gauge("dagster_last_run_info", 1, job_name="nightly", status="failure")], "The last run of nightly failed"),
        ([gauge("dagster_last_run_info", 1, job_name="nightly", status="success")], None),
        (
            [gauge("opengenome_disk_free_bytes", 5, path="/d"), gauge("opengenome_disk_bytes", 100, path="/d")],
            "Only 5 % of the disk of /d is free",
        ),
        ([gauge("opengenome_disk_free_bytes", 5, path="/d"), gauge("opengenome_disk_bytes", 40, path="/d")], None),
        (
            [gauge("opengenome_sensor_failed_ticks", 3, sensor_name="watch")],
            "The last 3 ticks of the sensor watch failed",
        ),
    ],
)
def test_a_rule_compares_values_ages_and_shares(metrics: list[GaugeMetricFamily], summary: str | None) -> None:
    assert [each.summary for each in problems(metrics, 1000)] == ([summary] if summary else [])


def test_a_problem_begins_after_a_time_once_and_is_over_once() -> None:
    rule = Rule("Low", "level", "<", 5, "level {value}", seconds=30)
    tracker = Tracker()

    def at(now: float, level: float) -> tuple[list[str], list[str]]:
        begun, over = tracker.update(problems([gauge("level", level)], now, [rule]), now)
        return [each.summary for each in begun], [each.summary for each in over]

    assert at(0, 4) == ([], [])
    assert at(10, 9) == ([], [])  # too short
    assert at(20, 3) == ([], [])
    assert at(50, 2) == (["level 2"], [])
    assert at(70, 1) == ([], [])
    assert at(80, 7) == ([], ["level 1"])
    assert at(90, 7) == ([], [])


def test_every_rule_has_a_runbook() -> None:
    page = (REPOSITORY / "docs/operating.md").read_text()
    assert [rule.name for rule in RULES if f"\n### {rule.name}\n" not in page] == []


def test_durations_have_two_units() -> None:
    assert [duration(each) for each in (0, 59.9, 60, 3725, 86400 + 61)] == [
        "0 s", "59 s", "1 min", "1 h 2 min", "1 d",
    ]  # fmt: skip
