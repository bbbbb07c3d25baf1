"""A kind of job that takes nearly no time: it counts the lines of text files."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from opengenome_assets.engine import Engine
from opengenome_assets.framework.jobs import Checked, FailedError, JobKind, Options, RefusedError, Sent
from opengenome_assets.framework.table import Column, TableSpec
from opengenome_assets.service.jobs.job import Job
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.settings import Settings
from opengenome_assets.storage.record import Provenance

LINES = TableSpec(
    name="line_counts",
    description="Lines of each file.",
    columns=(Column("file", pa.string(), "The file"), Column("lines", pa.int64(), "Its lines")),
    key=("file",),
)


class LineOptions(Options):
    """``failure`` is what becomes of the work: nothing, an error that stays, or one that may pass."""

    failure: str = ""
    factor: int = 1


def check(sent: Sent) -> Checked:
    """Refuse files with the word bad."""
    faults = [f"{file.name}: expected good lines, found bad" for file in sent.files if b"bad" in file.path.read_bytes()]
    if faults:
        raise RefusedError(faults)
    number = sum(len(file.path.read_bytes().splitlines()) for file in sent.files)
    return Checked(number, {"factor": sent.options.factor, "failure": sent.options.failure})


def perform(sent: Sent, settings: Mapping[str, Any], engine: Engine) -> None:
    """Write the table. ``wait`` in a file's name waits for the file ``go`` beside the home."""
    while any("wait" in file.name for file in sent.files) and not (Path(sent.platform.home) / "go").exists():
        sent.home.refuse_lost()
        time.sleep(0.02)
    if settings["failure"] == "stays":
        raise FailedError("the lines cannot be counted. Send others")
    if settings["failure"] == "passes":
        raise OSError(28, "No space left on device", str(sent.folder))
    rows = [
        {"file": file.name, "lines": settings["factor"] * len(file.path.read_bytes().splitlines())}
        for file in sent.files
    ]
    sent.home.refuse_lost()
    record = Provenance(name=LINES.name, code_version=LINES.code_version, settings=dict(settings))
    sent.home.table(LINES).write(pa.Table.from_pylist(rows, schema=LINES.schema), record)


KIND = JobKind(
    name="lines",
    path="lines",
    description="Lines of text.",
    unit="line",
    roles={"text": "text", "other": "more text"},
    options=LineOptions,
    results=(LINES,),
    steps=(LINES,),
    check=check,
    perform=perform,
    forms={"shout": ("text/plain", lambda home: str(home.table(LINES).read().num_rows) + "!\n")},
    small=3,
)


def jobs_in(home: Path) -> Jobs:
    """Return the jobs of a home that takes lines."""
    return Jobs(Settings(home=str(home)), {KIND.name: KIND})


def send(jobs: Jobs, folder: Path, text: str = "a\nb\n", name: str = "a.txt", client: str = "", **options: Any) -> Job:
    """Send a file of lines."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return jobs.submit(KIND, [("text", name, jobs.inbox.keep(path))], options, client)[0]
