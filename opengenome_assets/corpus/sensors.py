"""hf_revision_sensor: a run if, and only if, files of the corpus change on the Hugging Face Hub.

Belongs here: deciding at a tick whether a run is due. Does not belong here: requests to the Hub
(``intake/hub/listing.py``), and the work of a run.

A tick asks for little. First it asks for the commit, in one small request. If that is new, it asks for the id of the
folder, and only if that is new too, for the list of files. The digest of the selected paths and content ids decides.
The outcome of a run is not remembered but looked up: every requested run has the id of its change as a tag.
"""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from pydantic import BaseModel, ValidationError

from opengenome_assets.corpus.report import NAME as REPORT
from opengenome_assets.corpus.sources import source_of
from opengenome_assets.corpus.tables import RAW_FASTA
from opengenome_assets.framework.private import UnresolvedAssetJobDefinition
from opengenome_assets.intake.hub.download import RemoteFile
from opengenome_assets.intake.hub.store import Store
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import HUB_PREFIX, SourceError, list_remote, remote_places, split
from opengenome_assets.lineage.records import find
from opengenome_assets.settings import local_home
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home

NAME = "hf_revision_sensor"
INTERVAL_SECONDS = 120
TICK_SECONDS = 40.0  # Dagster ends a tick after 60
MAX_ATTEMPTS = 3
CHANGE_TAG = "opengenome/change"
COMMIT_TAG = "opengenome/commit"


class HubState(BaseModel):
    """State of the Hub at the last tick, as the sensor's cursor keeps it.

    Attributes
    ----------
    source
        The source specification.
    commits, folders
        Commit, and id of the folder used, of each place on the Hub that the specification names.
    files
        Digest of the selected (place, path, content id) triples; empty before the first listing.
    change
        Random id of the last change of ``files``, a tag of its runs. Empty if everything had been made from these
        files when they were seen first.
    """

    source: str = ""
    commits: list[str] = []
    folders: list[str] = []
    files: str = ""
    change: str = ""

    @property
    def pinned(self) -> str:
        """The specification at these commits."""
        commits = iter(self.commits)
        places = iter(remote_places(self.source))
        return ",".join(
            str(next(places).at(next(commits))) if name.startswith(HUB_PREFIX) else name for name in split(self.source)
        )


def build_sensor(job: UnresolvedAssetJobDefinition, named: str | None, home: str) -> dg.SensorDefinition:
    """Return the sensor that follows the datasets named in a source specification and starts a job.

    Parameters
    ----------
    job
        The job.
    named
        As OPENGENOME_SOURCE has it; None for the source that the home remembers.
    home
        Root of everything the platform writes. A sensor without a cursor compares with its tables.
    """

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description="Follows the Hugging Face datasets that OPENGENOME_SOURCE names. A new commit that changes a file "
        "in use starts one run, pinned to that commit and tagged with it; others start none, and the tick says why. "
        f"A failed run is tried again on later ticks, up to {MAX_ATTEMPTS} times in all.",
    )
    def hf_revision_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from opengenome_assets.intake.hub.listing import HubError  # late: the Hub's client is slow to import

        try:
            source = source_of(Home(home), named)
        except SourceError as error:
            return dg.SkipReason(str(error))
        if not any(name.startswith(HUB_PREFIX) for name in split(source)):
            return dg.SkipReason(
                f"the source is {source!r}, which names no dataset on the Hub: there is nothing to follow. "
                "Expected something like hf://datasets/arcinstitute/opengenome2/fasta/organelles/*"
            )
        last = recall(context.cursor, source)
        runs = runs_for(context.instance, last)
        # Two runs would disturb each other; changes meanwhile are one change when this run has ended.
        if runs and not runs[0].is_finished and runs[0].status != dg.DagsterRunStatus.NOT_STARTED:
            return dg.SkipReason(
                f"run {runs[0].run_id} for commit {short(last.commits)} has not ended; newer commits are looked for "
                "when it has. If it is dead, terminate it"
            )
        try:
            now, news = look(last, home)
        except HubError as error:
            return dg.SkipReason(str(error))
        if now.change and now.change != last.change:
            return request(now, attempt=1)
        return follow_up(now, runs, news)

    return hf_revision_sensor


def recall(cursor: str | None, source: str) -> HubState:
    """Return the cursor's state of a source; an empty one if it is of another source or was not written here."""
    try:
        last = HubState.model_validate_json(cursor or "{}")
    except ValidationError:
        last = HubState()
    return last if last.source == source else HubState(source=source)


def runs_for(instance: dg.DagsterInstance, last: HubState) -> Sequence[dg.DagsterRun]:
    """Return the runs for the last change, newest first, including re-executions by hand."""
    return instance.get_runs(dg.RunsFilter(tags={CHANGE_TAG: last.change})) if last.change else []


def look(last: HubState, home: str) -> tuple[HubState, str]:
    """Ask the Hub for its present state; return it, and the news about the files in use in words.

    At the first tick there are only the tables to compare with: if they have these files, that is no change.

    Raises
    ------
    HubError
        If the Hub cannot be reached, refuses, or does not have the named files.
    """
    from opengenome_assets.intake.hub.listing import Hub

    deadline = time.monotonic() + TICK_SECONDS

    def hub() -> Hub:
        return Hub(seconds=max(1.0, deadline - time.monotonic()))

    places = remote_places(last.source)
    commits = [hub().resolve(place) for place in places]
    if commits == last.commits:
        return last, f"no new commit since {short(commits)}"
    pinned = [place.at(commit) for place, commit in zip(places, commits, strict=True)]
    folders = [hub().fingerprint(place) for place in pinned]
    now = last.model_copy(update={"commits": commits, "folders": folders})
    if folders == last.folders:
        return now, f"commit {short(commits)} changed only files that are not used"
    found = [list_remote(place, hub(), FASTA)[0] for place in pinned]
    files = [(str(place), file.path, file.identity) for place, its in zip(places, found, strict=True) for file in its]
    now.files = digest(sorted(files))
    if now.files == last.files:
        return now, f"commit {short(commits)} changed none of the {len(files):,} files in use"
    if not last.files and is_made(Home(home), [file for its in found for file in its]):
        return (
            now,
            f"commit {short(commits)} has the {len(files):,} files that raw_fasta lists and the report is made of",
        )
    now.change = uuid.uuid4().hex[:12]
    return now, f"commit {short(commits)} changed files in use"


def is_made(home: Home, files: Sequence[RemoteFile]) -> bool:
    """Tell whether the catalogue lists exactly these files of the Hub, and the report was made from it."""
    try:
        report, catalogue = (find(home, name).provenance for name in (REPORT, RAW_FASTA.name))
    except LookupError:
        return False
    read = report.inputs.get(RAW_FASTA.name)
    if read is None or read.data_version != catalogue.data_version:
        return False
    store = Store(local_home(home.uri) / "raw")
    rows = home.table(RAW_FASTA).read(["path", "sha256", "uri"]).to_pylist()
    listed = sorted((row["path"], row["sha256"]) for row in rows if Path(row["uri"]).is_relative_to(store.root))
    stored = [(file.path, found.sha256) for file in files if (found := store.find(file))]
    return len(stored) == len(files) and sorted(stored) == listed


def request(now: HubState, attempt: int) -> dg.SensorResult:
    """Return the request for a run on the files of this state."""
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"{now.change}-{attempt}",
                run_config={"ops": {RAW_FASTA.name: {"config": {"source": now.pinned}}}},
                tags={CHANGE_TAG: now.change, COMMIT_TAG: ",".join(dict.fromkeys(now.commits))},
            )
        ],
        cursor=now.model_dump_json(),
    )


def follow_up(now: HubState, runs: Sequence[dg.DagsterRun], news: str) -> dg.SensorResult:
    """Start the last change's run again if it failed or never started; else say why nothing is due."""
    if not now.change:
        return dg.SensorResult(skip_reason=dg.SkipReason(news), cursor=now.model_dump_json())
    failed = sum(run.status == dg.DagsterRunStatus.FAILURE for run in runs)
    last = runs[0].status if runs else dg.DagsterRunStatus.NOT_STARTED
    # Dagster launches a run that was created but never started when its key is requested again.
    if last == dg.DagsterRunStatus.NOT_STARTED or (last == dg.DagsterRunStatus.FAILURE and failed < MAX_ATTEMPTS):
        return request(now, attempt=failed + 1)
    if last == dg.DagsterRunStatus.FAILURE:
        news += f"; the run for its files failed {failed} times and is not tried again (last: {runs[0].run_id})"
    if last == dg.DagsterRunStatus.CANCELED:
        news += f"; the run for its files was cancelled and is not tried again ({runs[0].run_id})"
    return dg.SensorResult(skip_reason=dg.SkipReason(news), cursor=now.model_dump_json())


def short(commits: Sequence[str]) -> str:
    """Return commits as messages name them."""
    return ", ".join(commit[:12] for commit in dict.fromkeys(commits))
