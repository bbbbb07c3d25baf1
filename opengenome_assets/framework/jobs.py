"""Jobs: what a group takes from people who do not open Dagster, and how its assets are made for one of them.

Belongs here: the declaration of a kind of job, and making a group's tables in a job's own home. Does not belong here:
where jobs are kept, their states, and who works on them when (``service/jobs``).

A job has a home of its own, with the tables of its group. So jobs do not wait for a run of the whole platform, the
results of one are never mixed with those of another, and what was finished before a crash is found again by its parts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from opengenome_assets.engine import Engine, Result, Work
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.settings import Settings
from opengenome_assets.storage.lease import Lease
from opengenome_assets.storage.tables import Home

if TYPE_CHECKING:
    import dagster as dg

SMALL = 2_000
"""Units of a job that is done at once, while its sender waits."""


class RefusedError(ValueError):
    """A job cannot be taken. Each fault names the file, record or option, what was expected and what was found."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


class FailedError(RuntimeError):
    """A job's work failed. The message says why, and what to do; a retry does not help."""


class CancelledError(RuntimeError):
    """A job was cancelled while it was worked on."""


class Options(BaseModel):
    """The options of a kind of job, as its sender gives them."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class SentFile:
    """A file of a job.

    Attributes
    ----------
    role
        Its role, one of those that the kind declares.
    name
        Its name, without folders.
    path
        The file. It must not be changed.
    bytes, sha256
        Size and SHA-256 of its bytes.
    """

    role: str
    name: str
    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Sent:
    """What was sent.

    Attributes
    ----------
    home
        The job's own home. Work that a check does there is found again by the job.
    files
        The files.
    options
        The options, of the kind's class.
    platform
        The settings of the platform, with the home that all share.
    """

    home: Home
    files: tuple[SentFile, ...]
    options: Any
    platform: Settings

    def of(self, role: str) -> list[SentFile]:
        """Return the files of a role."""
        return [file for file in self.files if file.role == role]

    @property
    def folder(self) -> Path:
        """The job's folder, in which its kind may write."""
        return Path(self.home.uri)


@dataclass(frozen=True)
class Checked:
    """A job that can be taken.

    Attributes
    ----------
    units
        Its size in the kind's unit.
    settings
        Everything beside the files that determines the results, as JSON. It is part of the job's id.
    notes
        What its sender must know of the results, such as what a default leaves out.
    """

    units: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobKind:
    """A kind of job, which a group takes.

    Attributes
    ----------
    name
        Its name: that of the argument of ``opengenome submit``.
    path
        Its path below ``/api/``.
    description
        What it does, in a sentence.
    unit
        What its size is counted in, in the singular.
    roles
        Roles of its files, each with a description. Files have the first unless they are given another.
    options
        Class of its options.
    results
        Its tables of results, the most asked for first.
    steps
        All tables that it makes, for its progress.
    check
        Function that reads what was sent, and raises a :class:`RefusedError` if it cannot be taken.
    perform
        Function that makes the tables: from what was sent, the settings that the check found, and an engine.
    forms
        Further forms of the results: a file's ending, and the function from the job's home to the text.
    small
        Units up to which a job is done at once.
    named_by
        Function that returns role and path of the sender's files that a file of the main role names. They are sent
        with it. It raises ValueError if the file cannot be read.
    role_by_name
        Function from a file's name to its role, for senders who state none; the main role unless given.
    """

    name: str
    path: str
    description: str
    unit: str
    roles: Mapping[str, str]
    options: type[Options]
    results: tuple[TableSpec, ...]
    steps: tuple[TableSpec, ...]
    check: Callable[[Sent], Checked]
    perform: Callable[[Sent, Mapping[str, Any], Engine], None]
    forms: Mapping[str, tuple[str, Callable[[Home], str]]] = field(default_factory=dict)
    small: int = SMALL
    named_by: Callable[[Path], Sequence[tuple[str, Path]]] = lambda _: ()
    role_by_name: Callable[[str], str] | None = None

    @property
    def main_role(self) -> str:
        """The role of files that are given no other."""
        return next(iter(self.roles))

    def role_of(self, name: str) -> str:
        """Return the role of a file whose sender states none."""
        return self.role_by_name(name) if self.role_by_name else self.main_role


class Watching(Lease):
    """The right to write to a job's home, which ends when the job is cancelled.

    Parameters
    ----------
    home
        The job's home.
    cancelled
        Function that tells whether the job is cancelled. It is called before each commit.
    """

    def __init__(self, home: str, cancelled: Callable[[], bool]) -> None:
        super().__init__(home, "a job")
        self.cancelled = cancelled

    def refuse_lost(self) -> None:
        """Stop the work of a cancelled job.

        Raises
        ------
        CancelledError
            If it is cancelled.
        """
        if self.cancelled():
            raise CancelledError


class WatchingEngine:
    """An engine whose passes end when the job is cancelled: at their start, and whenever they report their progress.

    Parameters
    ----------
    engine
        The engine.
    home
        The job's home, with the lease that knows.
    """

    def __init__(self, engine: Engine, home: Home) -> None:
        self.engine, self.home = engine, home

    @property
    def width(self) -> int | None:
        """That of the engine."""
        return self.engine.width

    def map(
        self,
        function: Callable[[Work], Result],
        work: Sequence[Work],
        *,
        weights: Sequence[int],
        label: str,
        unit: str,
        log: logging.Logger,
    ) -> list[Result]:
        """Apply a function to every unit of work, as :class:`Engine` says."""
        self.home.refuse_lost()
        watching = _WatchingLog(log, self.home)
        return self.engine.map(function, work, weights=weights, label=label, unit=unit, log=watching)  # type: ignore[arg-type]


class _WatchingLog:
    def __init__(self, log: logging.Logger, home: Home) -> None:
        self._log, self._home = log, home

    def info(self, *words: Any, **more: Any) -> None:
        self._home.refuse_lost()
        self._log.info(*words, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


def make_tables(
    assets: Iterable[dg.AssetsDefinition],
    tables: Iterable[TableSpec],
    home: Home,
    engine: Engine,
    config: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Materialise tables, and what they are made from, in a job's home.

    The history of the runs is not kept: the tables have their records, and the job has its outcome.

    Parameters
    ----------
    assets
        The group's assets, with the job's settings.
    tables
        The tables.
    home
        The job's home.
    engine
        The engine.
    config
        Run config of assets, by name.

    Raises
    ------
    FailedError
        If an asset fails for a reason that a retry does not change.
    CancelledError
        If the job is cancelled.
    Exception
        The error of the step, if a retry can help.
    """
    import dagster as dg

    run_config = {
        "ops": {name: {"config": dict(values)} for name, values in (config or {}).items()},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    with dg.DagsterInstance.ephemeral() as instance:
        try:
            dg.materialize(
                list(assets),
                selection=dg.AssetSelection.assets(*(table.name for table in tables)).upstream(),
                resources={
                    "home": home,
                    "engine": dg.ResourceDefinition.hardcoded_resource(WatchingEngine(engine, home)),
                },
                run_config=run_config,
                instance=instance,
            )
        except dg.Failure as failure:
            if failure.allow_retries:
                raise
            raise FailedError(failure.description or "the work failed without a reason") from failure
