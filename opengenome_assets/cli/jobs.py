"""Jobs: running one of the platform's jobs in this process, so that the work stands in Dagster's run history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import click
import dagster as dg

from opengenome_assets.definitions import build_defs
from opengenome_assets.lineage.failures import newest_run, open_instance
from opengenome_assets.settings import Settings
from opengenome_assets.terminal import setting_errors

PLAIN = (bool, int, float, str, list, dict)  # what JSON can hold


class Report(NamedTuple):
    """What a job says of its work: metadata of its event for each table, in order, and of its op."""

    tables: dict[str, dict[str, Any]]
    op: dict[str, Any]


def run_job(
    settings: Settings, job: str, op: str, config: Mapping[str, Any], tags: Mapping[str, str] | None = None
) -> Report:
    """Run a job of one op, and return what it says.

    Raises
    ------
    click.ClickException
        If it failed, with the reasons.
    """
    run_config = {
        "ops": {op: {"config": dict(config)}},
        "loggers": {
            "console": {"config": {"log_level": "CRITICAL"}}
        },  # the reasons of a failure follow below, without stack traces
    }
    with setting_errors(), open_instance() as instance:
        result = (
            build_defs(settings)
            .resolve_job_def(job)
            .execute_in_process(run_config=run_config, instance=instance, raise_on_error=False, tags=tags)
        )
        if not result.success:
            run = newest_run(instance)
            raise click.ClickException("\n".join(failure.reason for failure in run.failures) if run else "no run")
    report = Report({}, {})
    for event in result.all_events:
        about: dg.AssetMaterialization | dg.AssetObservation | None = None
        if event.is_step_materialization:
            about = event.step_materialization_data.materialization
        elif event.is_asset_observation:
            about = event.asset_observation_data.asset_observation
        elif event.is_successful_output:
            report.op.update(_plain(event.step_output_data.metadata))
        if about is not None:
            report.tables[about.asset_key.to_user_string()] = _plain(about.metadata)
    return report


def _plain(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    return {name: each.value for name, each in metadata.items() if isinstance(each.value, PLAIN)}
