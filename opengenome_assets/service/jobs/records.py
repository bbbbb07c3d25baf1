"""Records of a job: the files in its folder, and where it stands.

Belongs here: their form, and writing each at once. Does not belong here: when they are written (``store.py``).
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

from pydantic import BaseModel, Field, ValidationError

from opengenome_assets import __version__
from opengenome_assets.storage.files import DamagedError

State = Literal["waiting", "running", "done", "failed", "cancelled"]

_Model = TypeVar("_Model", bound=BaseModel)


class File(BaseModel):
    """A file of a job."""

    role: str = Field(description="Its role among the job's files")
    name: str
    bytes: int
    sha256: str


class Submission(BaseModel):
    """A job as it was taken."""

    id: str = Field(description="SHA-256 of kind, files, settings and code: the same work has the same id")
    kind: str
    received: datetime
    client: str = ""
    files: list[File]
    options: dict[str, Any] = Field(description="Options as they were sent")
    settings: dict[str, Any] = Field(description="What else determines the results")
    units: int = Field(description="Size of the job")
    notes: list[str] = Field(description="What must be known of the results")
    package_version: str = __version__


class Attempt(BaseModel):
    """The last attempt at a job's work."""

    number: int
    started: datetime
    run_id: str = ""
    error: str = Field(default="", description="Why it ended, if it could say so")


class Result(BaseModel):
    """A table of results."""

    name: str
    version: int
    rows: int
    data_version: str


class Outcome(BaseModel):
    """The end of a job."""

    state: State
    at: datetime
    seconds: float = Field(default=0.0, description="Time of the work")
    run_id: str = ""
    error: str = ""
    tables: list[Result] = []


class Status(BaseModel):
    """Where a job stands."""

    id: str
    kind: str
    state: State
    received: datetime
    client: str = ""
    units: int = Field(description="Size of the job")
    unit: str = Field(description="What the size is counted in")
    place: int | None = Field(description="Place in the queue, from 1; null unless it waits")
    parts_done: int
    parts_wanted: int
    percent: float = Field(description="Progress in per cent")
    seconds_left: float | None = Field(description="Estimate by the speed so far; null if it is not known")
    attempts: int = Field(description="Attempts at its work")
    error: str = Field(description="Why it failed, or why the last attempt ended, and what to do; empty if neither")
    notes: list[str] = Field(description="What must be known of the results, such as what a default leaves out")
    seconds: float | None = Field(description="Time of the work, if it has ended")
    ended: datetime | None
    run_id: str = Field(description="Dagster's run; empty if none worked on it")
    tables: list[Result] = Field(description="Tables of results, and the versions that the job made")


def read(path: Path, model: type[_Model]) -> _Model | None:
    """Return a record; None if there is none.

    Raises
    ------
    DamagedError
        If it is not as it was written.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        words = f"it cannot be read as {model.__name__.lower()}"
        raise DamagedError(f"{path} is damaged: {words}. Remove its folder, and send the job again") from error


def write(path: Path, content: BaseModel, *, first: bool = False) -> bool:
    """Write a file at once and onto the disk. If it must be the first, return whether it is."""
    aside = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
    try:
        with aside.open("xb") as stream:
            stream.write(content.model_dump_json(indent=1).encode())
            stream.flush()
            os.fsync(stream.fileno())
        if first:
            try:
                os.link(aside, path)
            except FileExistsError:
                return False
        else:
            aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
    settle(path.parent)
    return True


def settle(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
