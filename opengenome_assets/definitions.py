"""What Dagster loads: :func:`build_defs` assembles everything, ``defs`` is the result.

Belongs here: merging the groups with the jobs over all of them. Does not belong here: any asset, check, job or
resource.
"""
# ruff: noqa: E402  # garbage collection is off before the imports that it would look through

from __future__ import annotations

import gc

gc.disable()

from collections.abc import Mapping
from typing import Any

import dagster as dg

from opengenome_assets import groups
from opengenome_assets.framework.resources import HomeResource, engine_resource
from opengenome_assets.operations.definitions import build as build_operations
from opengenome_assets.service.jobs.definitions import build as build_jobs
from opengenome_assets.service.jobs.retention import remove_ended
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.settings import Settings


def build_defs(
    settings: Settings | None = None, *, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Return the platform's definitions.

    Parameters
    ----------
    settings
        The settings of the platform and of its groups; read from the environment unless given.
    resource_overrides
        Resources that take the place of those made from the settings.
    """
    settings = settings or groups.read_settings()
    jobs = Jobs(settings, groups.job_kinds())
    shared = dg.Definitions(
        resources={
            "home": HomeResource(uri=settings.home),
            "engine": engine_resource(settings, groups.passes()),
            **(resource_overrides or {}),
        },
        # One process a run: every step shares the run's one engine.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(
        shared,
        build_operations(groups.specs(), lambda before, dry_run: remove_ended(jobs, before, dry_run=dry_run)),
        build_jobs(settings, groups.job_kinds(), groups.passes()),
        *(group.build(settings) for group in groups.GROUPS),
    )


defs = build_defs()
# What is loaded by now stays. To look through it for garbage takes 0.2 s, time and again, in whichever step runs then.
gc.freeze()
gc.enable()
