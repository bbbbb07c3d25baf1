"""Dagster's instance: its log lines, and on one machine its storage under the platform's home without any setting.

Belongs here: what every process that opens the instance needs, and a default folder, since a ``dagster.yaml`` can read
a variable but has no default for it. Does not belong here: a storage in a database, which a ``dagster.yaml`` names.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, DagsterRun, EventLogEntry, Field, JobDefinition

from opengenome_assets.deployment.logs import use_json_lines
from opengenome_assets.deployment.records import LocalRecords, close
from opengenome_assets.framework.private import (
    SINGLETON_REPOSITORY_NAME,
    ConfigurableClassData,
    InstanceRef,
    JobPythonOrigin,
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    ModuleCodePointer,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from opengenome_assets.settings import SettingsError, local_home, read_home

SQLITE_BYTES = 1 << 17  # what SQLite needs beside a database to open it: an index of 32 KiB, and a few pages


class Instance(DagsterInstance):
    """An instance whose processes write log lines in the form that OPENGENOME_LOG_FORMAT names."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        use_json_lines()

    @classmethod
    def config_schema(cls) -> Mapping[str, Field]:
        """Return the settings of ``dagster.yaml`` for this class: none."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Return Dagster's own defaults."""
        return InstanceRef.config_defaults(base_dir)


class LocalInstance(Instance):
    """An instance with its run history, event log, schedules and step logs at ``$OPENGENOME_HOME/dagster``.

    SQLite cannot use an object store. With a home in one, they lie at ``data/dagster`` in the current folder.
    """

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        """Return the defaults of Dagster's storage, which ``dagster.yaml`` may override.

        Parameters
        ----------
        base_dir
            Dagster's own default folder: DAGSTER_HOME, or a temporary one if that is unset.

        Raises
        ------
        SettingsError
            If the folder cannot be created or written to.
        """
        folder = local_home(read_home()) / "dagster"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:  # SQLite's own errors name neither place nor remedy
                file.write(bytes(SQLITE_BYTES))
        except OSError as error:
            raise _unwritable(folder, error.strerror or str(error)) from error
        records = ConfigurableClassData(
            LocalRecords.__module__, LocalRecords.__name__, json.dumps({"base_dir": str(folder)})
        )
        return {**InstanceRef.config_defaults(str(folder)), "storage": records}

    def create_run_for_job(  # type: ignore[override]
        self,
        job_def: JobDefinition,
        *,
        remote_job_origin: RemoteJobOrigin | None = None,
        job_code_origin: JobPythonOrigin | None = None,
        **options: Any,
    ) -> DagsterRun:
        """Create a run of the command line, in the code location that ``dagster dev`` makes of its module.

        Dagster itself gives it none, and its landing page and pages of jobs show only the runs of a code location.
        """
        return super().create_run_for_job(
            job_def,
            remote_job_origin=remote_job_origin or (job_code_origin and _remote_origin(job_code_origin)),
            job_code_origin=job_code_origin,
            **options,
        )

    def dispose(self) -> None:
        """Close what is open; a later use opens it again."""
        super().dispose()
        close(self.root_directory)

    def store_event(self, event: EventLogEntry) -> None:
        """Write an event to the log.

        Raises
        ------
        SettingsError
            If the folder cannot be written to any more.
        """
        try:
            super().store_event(event)
        except Exception as error:
            # SQLAlchemy's error has SQLite's, which says "database or disk is full".
            if isinstance(cause := getattr(error, "orig", None), sqlite3.OperationalError):
                raise _unwritable(local_home(read_home()) / "dagster", str(cause)) from error
            raise


def _remote_origin(origin: JobPythonOrigin) -> RemoteJobOrigin | None:
    """Return the same job as the user interface knows it, if a module holds it."""
    pointer = origin.get_repo_pointer()
    if not isinstance(pointer, ModuleCodePointer):
        return None
    target = LoadableTargetOrigin(
        executable_path=origin.executable_path,
        module_name=pointer.module,
        working_directory=pointer.working_directory,
    )
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=pointer.module)
    return RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME).get_job_origin(origin.job_name)


def _unwritable(folder: Path, reason: str) -> SettingsError:
    return SettingsError(
        f"Dagster's records cannot be kept at {folder}: {reason}. Free space there, make it writable, or set "
        "OPENGENOME_HOME to a folder that is"
    )
