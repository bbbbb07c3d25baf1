"""hf_revision_sensor: a run when, and only when, the files that the corpus uses change on the Hub.

Belongs here: deciding at a tick whether a run is due. Does not belong here: how the Hub is asked
(``intake/hub/listing.py``) and what a run does.

A tick asks for as little as it can: the commit (one small request); if that is new, the id of the folder that is used
(one more); only if that is new too, the list of files. What decides is the digest of the selected paths and content
ids. Whether a run succeeded is not remembered but looked up: every run that is requested bears the id of the change
that it is for.
"""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from pydantic import BaseModel, ValidationError

from opengenome_assets.corpus.report import NAME as REPORT
from opengenome_assets.corpus.tables import RAW_FASTA
from opengenome_assets.framework.private import UnresolvedAssetJobDefinition
from opengenome_assets.intake.hub.download import RemoteFile
from opengenome_assets.intake.hub.store import Store
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import HUB_PREFIX, list_remote, remote_places, split
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


class Seen(BaseModel):
    """What the Hub had at the last tick, as the sensor's cursor keeps it.

    Attributes
    ----------
    source
        The specification that all of it is about.
    commits, folders
        Commit, and id of the folder used, of each place on the Hub that the specification names.
    files
        Digest of the selected (place, path, content id) triples; empty before the first listing.
    change
        Made up when ``files`` changed last; a tag of the runs that this calls for. Empty if all
        had been made from these files when they were seen first.
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


def build_sensor(job: UnresolvedAssetJobDefinition, source: str, home: str) -> dg.SensorDefinition:
    """Return the sensor that follows the datasets named in a source specification and starts a job.

    Parameters
    ----------
    job
        The job.
    source
        As OPENGENOME_SOURCE has it.
    home
        Root of everything the platform writes: the tables there tell what a sensor without memory missed.
    """

    @dg.sensor(
        name=NAME,
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        description="Follows the Hugging Face datasets that OPENGENOME_SOURCE names. A new commit that changes a file "
        "in use starts one run, pinned to that commit and tagged with it; others start none, and the tick says why. "
        f"A failed run is tried again on later ticks, {MAX_ATTEMPTS} times in all.",
    )
    def hf_revision_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from opengenome_assets.intake.hub.listing import HubError  # late: importing the Hub's client takes a while

        if not any(name.startswith(HUB_PREFIX) for name in split(source)):
            return dg.SkipReason(
                f"OPENGENOME_SOURCE is {source!r}, which names no dataset on the Hub: there is nothing to follow. "
                "Expected something like hf://datasets/arcinstitute/opengenome2/fasta/organelles/*"
            )
        seen = recall(context.cursor, source)
        runs = runs_for(context.instance, seen)
        # Two runs would get in each other's way; what changes meanwhile is one change when this one has ended.
        if runs and not runs[0].is_finished and runs[0].status != dg.DagsterRunStatus.NOT_STARTED:
            return dg.SkipReason(
                f"run {runs[0].run_id} for commit {short(seen.commits)} has not ended; newer commits are looked for "
                "when it has. If it is dead, terminate it"
            )
        try:
            now, news = look(seen, home)
        except HubError as error:
            return dg.SkipReason(str(error))
        if now.change and now.change != seen.change:
            return request(now, attempt=1)
        return follow_up(now, runs, news)

    return hf_revision_sensor


def recall(cursor: str | None, source: str) -> Seen:
    """Return what the cursor keeps about a source; nothing if it is about another one, or was not written here."""
    try:
        seen = Seen.model_validate_json(cursor or "{}")
    except ValidationError:
        seen = Seen()
    return seen if seen.source == source else Seen(source=source)


def runs_for(instance: dg.DagsterInstance, seen: Seen) -> Sequence[dg.DagsterRun]:
    """Return the runs that were started for the last change, also by hand as re-executions, newest first."""
    return instance.get_runs(dg.RunsFilter(tags={CHANGE_TAG: seen.change})) if seen.change else []


def look(seen: Seen, home: str) -> tuple[Seen, str]:
    """Ask the Hub what is there now; return it, and what became of the files in use, in words.

    At the first look there is nothing to compare with but what was made: that is no change.

    Raises
    ------
    HubError
        If the Hub cannot be reached, refuses, or has not what is named.
    """
    from opengenome_assets.intake.hub.listing import Hub

    deadline = time.monotonic() + TICK_SECONDS

    def hub() -> Hub:
        return Hub(seconds=max(1.0, deadline - time.monotonic()))

    places = remote_places(seen.source)
    commits = [hub().resolve(place) for place in places]
    if commits == seen.commits:
        return seen, f"no new commit since {short(commits)}"
    pinned = [place.at(commit) for place, commit in zip(places, commits, strict=True)]
    folders = [hub().fingerprint(place) for place in pinned]
    now = seen.model_copy(update={"commits": commits, "folders": folders})
    if folders == seen.folders:
        return now, f"commit {short(commits)} changed only files outside of what is used"
    found = [list_remote(place, hub(), FASTA)[0] for place in pinned]
    files = [(str(place), file.path, file.identity) for place, its in zip(places, found, strict=True) for file in its]
    now.files = digest(sorted(files))
    if now.files == seen.files:
        return now, f"commit {short(commits)} changed none of the {len(files):,} files in use"
    if not seen.files and is_made(Home(home), [file for its in found for file in its]):
        return (
            now,
            f"commit {short(commits)} has the {len(files):,} files that raw_fasta lists and the report is made of",
        )
    now.change = uuid.uuid4().hex[:12]
    return now, f"commit {short(commits)} changed files in use"


def is_made(home: Home, files: Sequence[RemoteFile]) -> bool:
    """Tell whether the catalogue lists these files of the Hub and no others of it, and all was made that follows."""
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


def request(now: Seen, attempt: int) -> dg.SensorResult:
    """Return the request for a run on the files that were seen."""
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


def follow_up(now: Seen, runs: Sequence[dg.DagsterRun], news: str) -> dg.SensorResult:
    """Start the last change's run once more if it failed or never came to be; else say why nothing is due."""
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
