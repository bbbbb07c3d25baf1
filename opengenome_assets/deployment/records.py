"""Dagster's records in SQLite, in the files of its own storage, with connections that stay open.

Dagster makes an SQLAlchemy engine for every event, which compiles each statement again, and closes its connection after
it. SQLite then copies the log of a file in WAL mode into the file and waits for the disk. Here one engine is kept for
each file, with one connection. 500 events take 0.1 s instead of 4, and an eighth of the processor time (a virtual
disk, loaded). With ``synchronous=NORMAL``, as SQLite advises for WAL, a commit does not wait for the disk. A killed
process loses nothing. A power cut may lose the last events of a run, and harms no file; tables have their own log.

Belongs here: how connections are made. Does not belong here: what the records hold, and where they lie
(``instance.py``).
"""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import sqlalchemy
from dagster import EventLogEntry
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from opengenome_assets.framework.private import (
    INDEX_SHARD_NAME,
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    DagsterSqliteStorage,
    SqliteEventLogStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
)

# Of runs, schedules, the index of events, and of runs that write or are read.
_MOST = 32
_engines: OrderedDict[str, sqlalchemy.Engine] = OrderedDict()
_lock = Lock()


def engine(url: str) -> sqlalchemy.Engine:
    """Return the engine of a file."""
    with _lock:
        _engines[url] = _engines.pop(url) if url in _engines else _make(url)
        if len(_engines) > _MOST:
            _, oldest = _engines.popitem(last=False)
            oldest.dispose()
        return _engines[url]


def close(folder: str) -> None:
    """Close the connections to the files in a folder. SQLite then copies their logs into them."""
    with _lock:
        inside = [made for made in _engines.values() if Path(made.url.database or "").is_relative_to(folder)]
    for made in inside:
        made.dispose()


def _make(url: str) -> sqlalchemy.Engine:
    made = sqlalchemy.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=-1,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
    )

    path = Path(made.url.database or "")

    @sqlalchemy.event.listens_for(made, "connect")
    def opened(connection: sqlite3.Connection, kept: ConnectionPoolEntry) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")
        kept.info["file"] = _identity(path)

    @sqlalchemy.event.listens_for(made, "checkout")
    def still_there(_: sqlite3.Connection, kept: ConnectionPoolEntry, __: object) -> None:
        if kept.info["file"] != _identity(path):  # a backup was put back, or the records were deleted
            raise DisconnectionError(f"{path} is another file now")  # the pool opens it

    return made


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


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

    def has_table(self, table_name: str) -> bool:
        """Return whether the index has a table. Dagster asks at each event, with a new engine each time."""
        # Without the lock of `_connect`, which the asking thread holds.
        with engine(self.conn_string_for_shard(INDEX_SHARD_NAME)).connect() as connection:
            return bool(connection.dialect.has_table(connection, table_name))

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event, and tell those who follow the run: the server of a page waits until the file is touched."""
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))


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
