"""Failures: the reasons of real runs that failed in each way."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from opengenome_assets.lineage.failures import Failure, newest_run


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(overrides={"telemetry": {"enabled": False}}) as instance:
        yield instance


@dg.asset
def said() -> None:
    raise dg.Failure("1 file cannot be used:\n- x.fa, line 3", allow_retries=False)


@dg.asset
def raised() -> None:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise ValueError("Job aborted\n\tat java.lang.Thread.run(Thread.java:840)\nend") from error


@dg.asset
def endless() -> None:
    raise ValueError("\n".join(str(number) for number in range(1000)))


@dg.asset
def checked() -> None:
    pass


@dg.asset(deps=[checked])
def behind() -> None:
    pass


@dg.asset_check(asset=checked, blocking=True)
def totals() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="3 problems. bases: 7, expected 8")


@dg.asset_check(asset=checked)
def names() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, description="all is well")


class Broken(dg.ConfigurableResource["Broken"]):
    """A resource that cannot be had."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        raise RuntimeError("no Java")


@dg.asset
def needy(broken: Broken) -> None:
    pass


@pytest.mark.long
def test_steps_say_what_they_raised_without_stacks(instance: dg.DagsterInstance) -> None:
    assert not dg.materialize([said, raised, endless], instance=instance, raise_on_error=False).success
    run = newest_run(instance)
    assert run is not None
    assert run.status == "FAILURE"
    reasons = {failure.step: failure.reason for failure in run.failures}
    assert set(reasons) == {"said", "raised", "endless"}
    assert reasons["said"] == "1 file cannot be used:\n- x.fa, line 3"
    assert reasons["raised"] == "ValueError: Job aborted\nend"
    assert reasons["endless"].endswith("\n24\n…")


@pytest.mark.long
def test_a_blocking_check_says_what_it_found(instance: dg.DagsterInstance) -> None:
    assert not dg.materialize([checked, behind, totals, names], instance=instance, raise_on_error=False).success
    run = newest_run(instance)
    assert run is not None
    assert run.failures == [Failure("checked, check totals", "3 problems. bases: 7, expected 8")]


def test_a_run_that_came_to_no_step_says_why(instance: dg.DagsterInstance) -> None:
    resources = {"broken": Broken()}
    assert not dg.materialize([needy], instance=instance, resources=resources, raise_on_error=False).success
    run = newest_run(instance)
    assert run is not None
    assert run.failures == [Failure("", "RuntimeError: no Java")]


def test_a_run_whose_pod_was_lost_says_what_was_seen_from_outside(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(dg.JobDefinition(graph_def=dg.GraphDefinition("lost")))
    instance.report_run_failed(run, "Detected run worker status FAILED")
    found = newest_run(instance)
    assert found is not None
    assert found.failures == [Failure("", "Detected run worker status FAILED")]


@pytest.mark.long
def test_the_newest_run_counts_and_only_since_then(instance: dg.DagsterInstance) -> None:
    assert newest_run(instance) is None
    start = datetime.now(UTC)
    dg.materialize([said], instance=instance, raise_on_error=False)
    dg.materialize([checked], instance=instance)
    run = newest_run(instance, start)
    assert run is not None
    assert (run.status, run.failures) == ("SUCCESS", [])
    assert newest_run(instance, datetime.now(UTC)) is None
