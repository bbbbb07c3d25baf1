"""The outcome of a run: what it made, what it used again, and which source files have changed since.

Belongs here: reading that from the records. Does not belong here: the run's settings and figures (``runs.py``), and
how it is shown (``cli/run.py``).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opengenome_assets.framework.table import Role, Specs
from opengenome_assets.lineage.changes import FileChanges, compare
from opengenome_assets.lineage.records import Records
from opengenome_assets.storage.snapshot import MissingTableError
from opengenome_assets.storage.tables import Home

if TYPE_CHECKING:
    import dagster as dg

SAMPLE_REVISION = "sample-"  # begins the revision of a file that comes with the package
PASSED_OVER = "files_left_out"  # in the metadata of a catalogue


@dataclass(frozen=True)
class Outcome:
    """What a run made.

    Attributes
    ----------
    made, kept
        Tables, figures and reports that it made, and those that stayed as they were, sorted.
    files
        Source files that differ from those of the version before, by catalogue; only catalogues that the run made and
        that had an earlier version.
    """

    made: list[str]
    kept: list[str]
    files: dict[str, FileChanges]


def outcome(home: Home, specs: Specs, run_id: str) -> Outcome:
    """Return the outcome of a home's newest run. A table without a record, which no asset made, is left out.

    Raises
    ------
    DamagedTableError
        If the log of a table cannot be read.
    """
    records = Records(home)
    by = {}
    for name in (*home.names(), *records.beside):
        with suppress(MissingTableError):
            by[name] = records.find(name)
    made = sorted(name for name, record in by.items() if record.provenance.run_id == run_id)
    files = {}
    for name in made:
        history = records.history(name)
        if history is None or specs.role(name) is not Role.CATALOGUE:
            continue
        if earlier := [number for number in history.versions if number < (by[name].version or 0)]:
            files[name] = compare(home, specs, records.find(name, max(earlier)), by[name]).files
    return Outcome(made, sorted(by.keys() - set(made)), files)


def passed_over(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """Return the files that a run left out since their names are of no expected kind: a list by catalogue."""
    import dagster as dg  # which the process that tells of a run does without

    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    materializations = [event.asset_materialization for event in events if event.asset_materialization]
    found = {each.asset_key.to_user_string(): each.metadata.get(PASSED_OVER) for each in materializations}
    return {name: value.data for name, value in found.items() if isinstance(value, dg.JsonMetadataValue) and value.data}


def is_sample(home: Home, specs: Specs) -> bool:
    """Tell whether the files of these tables' catalogues are all those that come with the package."""
    catalogues = [home.table(name) for name in specs.named(Role.CATALOGUE) if home.table(name).exists()]
    revisions = {name for each in catalogues for name in each.read(["revision"])["revision"].to_pylist()}
    return bool(revisions) and all(name.startswith(SAMPLE_REVISION) for name in revisions)
