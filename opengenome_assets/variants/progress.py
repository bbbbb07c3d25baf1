"""Progress: how far each sample is, from the parts that exist.

Belongs here: counting finished units by sample, and the time left. Does not belong here: the plans (``plans.py``), and
the command's words (``commands.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.plans import Plan, plan_alignments, plan_calls, plan_depth, plan_quality
from opengenome_assets.variants.tables import ALIGNMENTS, RAW_READS, REFERENCE
from opengenome_assets.words import plural

STEPS: dict[str, tuple[Callable[[Home], Plan], str]] = {
    "quality": (plan_quality, "file"),
    "alignment": (plan_alignments, "sample"),
    "coverage": (plan_depth, "region"),
    "calling": (plan_calls, "region"),
}


@dataclass(frozen=True)
class StepState:
    """How far a step of a sample is.

    Attributes
    ----------
    sample, label, unit
        The sample, the step, and what its units are.
    done, units
        Finished units, and all; None if they are not known yet.
    seconds_left
        Estimate for one worker from the speed of finished units; None without any, or if all are done.
    """

    sample: str
    label: str
    unit: str
    done: int
    units: int | None
    seconds_left: float | None = None

    @property
    def words(self) -> str:
        """The state in words."""
        if self.units is None:
            return "waits for the step before"
        text = f"{self.done:,} of {plural(self.units, self.unit)}"
        return text if self.seconds_left is None else f"{text}, about {self.seconds_left:,.0f} s left"


def progress(home: Home, sample: str | None = None) -> list[StepState]:
    """Return the state of each step of each sample, or of one.

    Raises
    ------
    LookupError
        If nothing was catalogued, or there is no such sample. The message lists the samples.
    """
    names = sorted(set(home.table(RAW_READS).read(["source"])["source"].to_pylist()))
    if sample is not None and sample not in names:
        raise LookupError(f"no sample is called {sample}: expected {', '.join(names)}")
    aligned = _has(home, ALIGNMENTS.name)
    found = {}
    for label, (plan, unit) in STEPS.items():
        ready = _has(home, REFERENCE.name) if label == "alignment" else label == "quality" or aligned
        if ready:
            found.update({(state.sample, label): state for state in _states(home, label, unit, plan(home))})
    waiting = ((name, label, unit) for name in names for label, (_, unit) in STEPS.items())
    return [
        found.get((name, label)) or StepState(name, label, unit, 0, None)
        for name, label, unit in waiting
        if sample in (None, name)
    ]


def _has(home: Home, table: str) -> bool:
    return home.table(table).exists()


def _states(home: Home, label: str, unit: str, plan: Plan) -> Iterator[StepState]:
    finished = plan.finished(home)
    pairs = list(zip(plan.units, finished, strict=True))
    # The speed is that of all samples: the first units of one tell how long those of another take.
    seconds = sum(parts[0].facts.get("seconds", 0.0) for _, parts in pairs if parts)
    weight = sum(each.weight for each, parts in pairs if parts)
    for sample in dict.fromkeys(each.sample for each in plan.units):
        own = [(each, parts) for each, parts in pairs if each.sample == sample]
        rest = sum(each.weight for each, parts in own if not parts)
        left = rest * seconds / weight if rest and weight else None
        yield StepState(sample, label, unit, sum(bool(parts) for _, parts in own), len(own), left)
