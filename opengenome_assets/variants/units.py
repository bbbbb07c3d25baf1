"""Units: a pass over files, samples or regions, idempotent since finished parts are found again.

Belongs here: finding finished parts, mapping the pass over the rest with the engine, the commit, and naming the units
that failed. Does not belong here: the computation of a pass (``passes``).

One unit's failure costs no other: all others are committed, and then the asset fails and names it. Run it again, and
only the failed units are made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from opengenome_assets.engine import Engine
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.framework.shards import Output
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.settings import local_home
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.work import Outcome, Task, Unit, Work, attempt

NAMED = 20


@dataclass
class UnitPass:
    """A pass over units.

    Attributes
    ----------
    label
        Its name, for the log.
    compute
        Function of a unit's work and one writer per table, importable by workers.
    outputs
        The tables, all with one code version.
    settings
        What the record holds beside the inputs.
    unit
        Unit of the weights, for the log.
    file
        The fact that has the path, below the home, of a file that belongs to the part; a part without its file is made
        again.
    """

    label: str
    compute: Work
    outputs: tuple[TableSpec, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    unit: str = "bytes"
    file: str = ""

    def make(
        self,
        context: dg.AssetExecutionContext,
        home: Home,
        engine: Engine,
        making: Making,
        reads: Sequence[TableSpec],
        units: Sequence[Unit],
        facts: Callable[[], Mapping[str, Any]] = dict,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        """Make the tables, and yield their results.

        Raises
        ------
        dagster.Failure
            After the commit, if units failed. The message names them.
        """
        outputs = tuple(Output(home.table(output).uri, output.schema) for output in self.outputs)
        indexes = [PartIndex(output.uri) for output in outputs]
        inputs = {each.name: home.table(each).input() for each in reads}
        keys = [digest([[each.name, each.code_version] for each in self.outputs] + [unit.content]) for unit in units]
        parts = [self._present(home, indexes, key) for key in keys]
        new = [place for place, found in enumerate(parts) if not found]
        outcomes: list[Outcome] = engine.map(
            attempt,
            [Task(self.compute, units[place], keys[place], outputs) for place in new],
            weights=[units[place].weight for place in new],
            label=self.label,
            unit=self.unit,
            log=context.log,
        )
        failures = []
        for place, outcome in zip(new, outcomes, strict=True):
            parts[place] = outcome.parts
            if outcome.error:
                failures.append(f"{units[place].name}: {outcome.error}")
        compute = sum(outcome.seconds for outcome in outcomes)
        here = sum(outcome.own for outcome in outcomes if outcome.process == os.getpid())
        counts = {"units": len(units), "units_reused": len(units) - len(new), "units_failed": len(failures)}
        for number, spec in enumerate(self.outputs):
            # A table without the failed units is another table than the whole one.
            missing = sorted(units[place].name for place, found in enumerate(parts) if not found)
            settings = {**self.settings, **({"failed": missing} if missing else {})}
            provenance = making.recorded(
                Provenance(name=spec.name, code_version=spec.code_version, settings=settings, inputs=inputs)
            )
            pieces = [found[number] for found in parts if found]
            commit = home.table(spec).commit(spec.schema, pieces, provenance)
            coordination = max(making.cpu_seconds - here, 0.01)
            costs = {
                "compute_cpu_seconds": round(compute, 2),
                "coordination_cpu_seconds": round(coordination, 2),
                "compute_to_coordination": round(compute / coordination, 2),
            }
            result = making.result(spec, commit, provenance, {**facts(), **counts, **costs})
            yield emitted(context, home, result)
        if failures:
            listed = "\n".join(f"- {failure}" for failure in failures[:NAMED])
            raise dg.Failure(
                f"{len(failures):,} of {len(units):,} units failed; the others are committed, and are not made again:\n"
                f"{listed}",
                allow_retries=False,
            )

    def _present(self, home: Home, indexes: Sequence[PartIndex], key: str) -> list[Part]:
        parts = [part for each in indexes if (part := each.find(key))]
        whole = len(parts) == len(indexes) and (
            not self.file or (local_home(home.uri) / parts[0].facts[self.file]).exists()
        )
        return parts if whole else []
