"""Old runs go with their step logs; those that something still names stay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from opengenome_assets.operations.pins import TAG
from opengenome_assets.operations.retention import old_runs, remove_runs


@dg.asset
def first() -> None:
    print("a line of the step")


@dg.asset
def second() -> None:
    pass


@pytest.mark.long
def test_runs_that_nothing_names_go_with_their_step_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opengenome_assets.operations.retention.RUNS_READ", 2)
    with dg.instance_for_test() as instance:

        def made(*assets: dg.AssetsDefinition, **tags: str) -> str:
            return dg.materialize(list(assets), instance=instance, tags=tags).run_id

        def logs() -> set[str]:
            folder = Path(instance.root_directory, "storage")
            return {path.name for path in folder.iterdir() if (path / "compute_logs").is_dir()}

        pinned = made(first, **{TAG: "true"})
        last_of_second = made(first, second)
        old, failed = made(first), made(first)
        last = made(first)
        going_on = instance.create_run_for_job(
            dg.Definitions(assets=[first], jobs=[dg.define_asset_job("j")]).resolve_job_def("j"),
            status=dg.DagsterRunStatus.STARTED,
        ).run_id
        now = datetime.now(UTC)
        assert old_runs(instance, now - timedelta(days=1)) == []
        found = old_runs(instance, now + timedelta(seconds=1))
        assert sorted(found) == sorted([old, failed])
        assert {old, failed} <= logs()
        remove_runs(instance, found)
        assert {run.run_id for run in instance.get_runs()} == {pinned, last_of_second, last, going_on}
        assert not {old, failed} & logs()
        assert instance.all_logs(old) == []
        assert instance.get_latest_materialization_event(second.key).run_id == last_of_second  # type: ignore[union-attr]
