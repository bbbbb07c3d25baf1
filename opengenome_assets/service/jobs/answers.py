"""Requests and answers of jobs: the models of their OpenAPI description, which the Python client uses too.

Belongs here: their form. Does not belong here: where a job stands (``records.py``), and answering (``routes.py``).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from opengenome_assets.service.jobs.records import Result, Status

MOST_FILES = 1_000


class SentFileModel(BaseModel):
    """A file that was uploaded."""

    model_config = ConfigDict(extra="forbid")

    role: str = Field("", description="Its role; if it is empty, that which its name suggests")
    name: str = Field(description="Its name, without folders")
    sha256: str = Field(description="SHA-256 of its bytes, under which it was uploaded")


class JobRequest(BaseModel):
    """A job of files that were uploaded before."""

    model_config = ConfigDict(extra="forbid")

    files: list[SentFileModel] = Field(max_length=MOST_FILES)
    options: dict[str, Any] = {}


class JobAnswer(Status):
    """A job, with its results if it is done."""

    results: list[dict[str, Any]] | None = Field(
        None, description="First rows of the first table, if the job is done; the others are at .../results"
    )


class ResultPage(BaseModel):
    """Rows of a table of results, in the order of its key."""

    table: Result
    offset: int
    next: int | None = Field(description="Offset of the next page; null for the last")
    rows: list[dict[str, Any]]


class Upload(BaseModel):
    """How far an upload is."""

    sha256: str
    bytes: int = Field(description="Bytes that are there")
    complete: bool


class KindModel(BaseModel):
    """A kind of job: what can be sent."""

    name: str
    path: str = Field(description="Path of its jobs, relative to the server's address")
    description: str
    unit: str = Field(description="What its size is counted in")
    roles: dict[str, str] = Field(description="Roles of its files, each with a description")
    options: dict[str, Any] = Field(description="JSON schema of each option")
    forms: list[str] = Field(description="Forms of its results")


class Overview(BaseModel):
    """What can be sent, and the jobs of all kinds, the newest first."""

    kinds: list[KindModel]
    client: str = Field(description="Who asks: the token's name, or the address")
    scope: str = Field(description="What the client may do")
    total: int = Field(description="Number of all jobs")
    jobs: list[Status]
