"""Units: a plan carried out, idempotent since finished parts are found again.

Belongs here: mapping the pass over the unfinished units with the engine, the commit, and naming the units that failed.
Does not belong here: the units (``plans.py``), and the work on one (``passes``).

One unit's failure costs no other: all others are committed, and then the asset fails and names it. Run it again, and
only the failed units are made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from opengenome_assets.engine import Engine
from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.making import Making, emitted, module_of
from opengenome_assets.framework.shards import Output
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.plans import Plan
from opengenome_assets.variants.work import Outcome, Task, attempt

NAMED = 20
LEAST = 4.0  # CPU seconds of work that pay for the start of workers, which takes as many
HERE = Processes(workers=1)  # no process: units run in the step's own


def carry_out(
    context: dg.AssetExecutionContext,
    home: Home,
    engine: Engine,
    plan: Plan,
    facts: Callable[[], Mapping[str, Any]] = dict,
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Make the tables of a plan, and yield their results.

    Parameters
    ----------
    context, home, engine
        The step, its home and its engine.
    plan
        The plan.
    facts
        Function that gives further metadata, called after the commit.

    Raises
    ------
    dagster.Failure
        After the commit, if units failed. The message names them.
    """
    making = Making(context, module_of(plan.compute))
    outputs = tuple(Output(home.table(output).uri, output.schema) for output in plan.outputs)
    inputs = {each.name: home.table(each).input() for each in plan.reads}
    parts = plan.finished(home)
    new = [place for place, found in enumerate(parts) if not found]
    little = plan.seconds * sum(plan.units[place].weight for place in new) < LEAST
    outcomes: list[Outcome] = (HERE if little else engine).map(
        attempt,
        [Task(plan.compute, plan.units[place], plan.keys[place], outputs) for place in new],
        weights=[plan.units[place].weight for place in new],
        label=plan.label,
        unit=plan.unit,
        log=context.log,
    )
    failures = []
    for place, outcome in zip(new, outcomes, strict=True):
        parts[place] = outcome.parts
        if outcome.error:
            failures.append(f"{plan.units[place].name}: {outcome.error}")
    # A table without the failed units is another table than the whole one.
    missing = sorted(unit.name for unit, found in zip(plan.units, parts, strict=True) if not found)
    settings = {**plan.settings, **({"failed": missing} if missing else {})}
    counts = {"units": len(parts), "units_reused": len(parts) - len(new), "units_failed": len(failures)}
    for number, spec in enumerate(plan.outputs):
        provenance = making.recorded(
            Provenance(name=spec.name, code_version=spec.code_version, settings=settings, inputs=inputs)
        )
        commit = home.table(spec).commit(spec.schema, [found[number] for found in parts if found], provenance)
        more = {**facts(), **counts, **costs(outcomes, making)}
        yield emitted(context, home, making.result(spec, commit, provenance, more))
    if failures:
        listed = "\n".join(f"- {failure}" for failure in failures[:NAMED])
        raise dg.Failure(
            f"{len(failures):,} of {len(parts):,} units failed; the others are committed, and are not made again:\n"
            f"{listed}",
            allow_retries=False,
        )


def costs(outcomes: list[Outcome], making: Making) -> dict[str, float]:
    """Return processor seconds of the work and of all else, and their ratio."""
    compute = sum(outcome.seconds for outcome in outcomes)
    here = sum(outcome.own for outcome in outcomes if outcome.process == os.getpid())
    coordination = max(making.cpu_seconds - here, 0.01)
    return {
        "compute_cpu_seconds": round(compute, 2),
        "coordination_cpu_seconds": round(coordination, 2),
        "compute_to_coordination": round(compute / coordination, 2),
    }
