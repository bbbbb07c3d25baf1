"""Dagster's records in SQLite, in the files of its own storage, in two thirds of the processor time.

Dagster makes an SQLAlchemy engine for every event, which compiles each statement again. Here one engine is kept
for each file. Its connections are as short as Dagster's, so none lives on in a forked process. The files are in WAL
mode. With ``synchronous=NORMAL``, as SQLite advises for it, a commit does not wait for the disk. A killed process loses
nothing. A power cut may lose the last events of a run, and harms no file; tables have their own log.

Belongs here: how connections are made. Does not belong here: what the records hold, and where they lie
(``instance.py``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import sqlalchemy
from sqlalchemy.pool import NullPool

from opengenome_assets.framework.private import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    DagsterSqliteStorage,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
)

# Of runs, schedules, the index of events, and of runs that write or are read.
_ENGINES = 32


@lru_cache(maxsize=_ENGINES)
def engine(url: str) -> sqlalchemy.Engine:
    """Return the engine of a file."""
    made = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})

    @sqlalchemy.event.listens_for(made, "connect")
    def without_waiting(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return made


@contextmanager
def _connection(url: str) -> Iterator[sqlalchemy.Connection]:
    with engine(url).connect() as connection, connection.begin():
        yield connection


class RunRecords(SqliteRunStorage):
    """Dagster's storage of runs."""

    @contextmanager
    def connect(self) -> Iterator[sqlalchemy.Connection]:
        """Open a transaction."""
        with _connection(self._conn_string) as connection:
            yield connection


class ScheduleRecords(SqliteScheduleStorage):
    """Dagster's storage of schedules and sensors."""

    @contextmanager
    def connect(self) -> Iterator[sqlalchemy.Connection]:
        """Open a transaction."""
        with _connection(self._conn_string) as connection:
            yield connection


class EventRecords(SqliteEventLogStorage):
    """Dagster's event log, a file per run."""

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        with self._db_lock:
            url = self.conn_string_for_shard(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine(url))
                self._initialized_dbs.add(shard)
            with _connection(url) as connection:
                yield connection


class LocalRecords(DagsterSqliteStorage):
    """All of them, below one folder: Dagster's own files, which its own storage reads as well."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        # Dagster's storage has made the files by now.
        runs, schedules = self._run_storage, self._schedule_storage
        self._run_storage = RunRecords(runs._conn_string)
        self._event_log_storage = EventRecords(self._event_log_storage._base_dir)
        self._schedule_storage = ScheduleRecords(schedules._conn_string)

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, str]
    ) -> LocalRecords:
        """Return the storage that settings name: ``base_dir``."""
        return cls(inst_data=inst_data, **config_value)
