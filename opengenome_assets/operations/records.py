"""Dagster's records as one file: a dump of its SQLite files or of its PostgreSQL database, and the way back.

A dump is a compressed tar file. SQLite files are copied by SQLite's online backup, PostgreSQL's tables in one read-only
transaction, so a dump is consistent while runs go on. PostgreSQL's own client is not needed, whose version would have
to match the server's.

Belongs here: the two forms of dumps. Does not belong here: where dumps are kept, and the tables (``backup.py``).
"""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryDirectory
from typing import Any

import dagster as dg

CONTENTS = "contents.json"
SPOOLED = 64 * 2**20  # bytes of a table that are held in memory; larger ones go to a file


class RecordsError(ValueError):
    """A dump cannot be put back here. A retry does not help; the message says what does."""


def dump(instance: dg.DagsterInstance, file: Path) -> str:
    """Write a dump of an instance's records; return its kind, ``sqlite`` or ``postgres``."""
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        if url := _postgres_url(instance):
            _dump_postgres(url, archive)
            return "postgres"
        _dump_sqlite(Path(instance.root_directory), archive)
        return "sqlite"


def put_back(instance: dg.DagsterInstance, file: Path, kind: str) -> None:
    """Replace an instance's records, which hold no run, by a dump.

    Raises
    ------
    RecordsError
        If there are runs already, or the dump is of another kind of database or of another version of Dagster.
    """
    if runs := instance.get_runs_count():
        raise RecordsError(
            f"Dagster's records here have {runs:,} runs already. Restore into an empty home, or move these aside first"
        )
    url = _postgres_url(instance)
    if kind != ("postgres" if url else "sqlite"):
        raise RecordsError(
            f"the backup's records are of {kind}, and this instance uses {'postgres' if url else 'sqlite'}. Restore "
            "them where the same database is used: a laptop, or the cluster"
        )
    with tarfile.open(file) as archive:
        if url:
            _load_postgres(url, archive)
        else:
            _load_sqlite(Path(instance.root_directory), archive)


def _postgres_url(instance: dg.DagsterInstance) -> str:
    return str(getattr(instance.run_storage, "postgres_url", ""))


def _dump_sqlite(root: Path, archive: tarfile.TarFile) -> None:
    with TemporaryDirectory() as folder:
        for path in sorted(root.rglob("*.db")):
            copy = Path(folder, "copy.db")
            copy.unlink(missing_ok=True)
            with closing(sqlite3.connect(path, timeout=60)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            archive.add(copy, str(path.relative_to(root)))


def _load_sqlite(root: Path, archive: tarfile.TarFile) -> None:
    for former in root.rglob("*.db*"):  # of the empty database that stood here, whose connections may be open
        former.unlink()
    archive.extractall(root, filter="data")
    for path in root.rglob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            found = database.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise RecordsError(f"{path} is damaged: {found}. Take another backup")


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    import psycopg2  # only the cluster has it

    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _columns(cursor: Any) -> dict[str, list[str]]:
    cursor.execute(
        "select table_name, column_name from information_schema.columns join information_schema.tables "
        "using (table_schema, table_name) where table_schema = current_schema() and table_type = 'BASE TABLE' "
        "order by table_name, ordinal_position"
    )
    columns: dict[str, list[str]] = {}
    for table, column in cursor.fetchall():
        columns.setdefault(table, []).append(column)
    return columns


def _revision(cursor: Any) -> str:
    cursor.execute("select version_num from alembic_version order by 1")
    return ",".join(row[0] for row in cursor.fetchall())


def _copy(table: str, columns: list[str], direction: str) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f'copy "{table}" ({names}) {direction}'


def _dump_postgres(url: str, archive: tarfile.TarFile) -> None:
    with _connected(url) as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        columns = _columns(cursor)
        _add(archive, CONTENTS, json.dumps({"revision": _revision(cursor), "columns": columns}).encode())
        for table, names in columns.items():
            if table == "alembic_version":
                continue
            with SpooledTemporaryFile(SPOOLED) as rows:
                cursor.copy_expert(_copy(table, names, "to stdout"), rows)
                member = tarfile.TarInfo(f"{table}.copy")
                member.size = rows.tell()
                rows.seek(0)
                archive.addfile(member, rows)


def _load_postgres(url: str, archive: tarfile.TarFile) -> None:
    with _connected(url) as cursor:  # one transaction: all, or nothing
        stored = json.load(_member(archive, CONTENTS))
        here, revision = _columns(cursor), _revision(cursor)
        if stored["revision"] != revision:
            raise RecordsError(
                f"the backup's records have the schema {stored['revision']}, and this version of Dagster has "
                f"{revision}. Restore with the image that made the backup, then upgrade"
            )
        tables = [table for table in stored["columns"] if table != "alembic_version"]
        names = ", ".join(f'"{table}"' for table in here if table != "alembic_version")
        cursor.execute(f"truncate {names} cascade")
        cursor.execute("set constraints all deferred")
        cursor.execute("set session_replication_role = replica")  # foreign keys: the order of tables is free
        for table in tables:
            cursor.copy_expert(_copy(table, stored["columns"][table], "from stdin"), _member(archive, f"{table}.copy"))
        cursor.execute("set session_replication_role = default")
        for table in tables:  # the next row gets the number after the last
            cursor.execute(
                "select column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) "
                "from information_schema.columns where table_schema = current_schema() and table_name = %s",
                (table,),
            )
            for column, sequence in cursor.fetchall():
                if sequence:
                    cursor.execute(
                        f'select setval(%s, greatest((select max("{column}") from "{table}"), 1))', (sequence,)
                    )


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _member(archive: tarfile.TarFile, name: str) -> Any:
    found = archive.extractfile(name)
    assert found is not None
    return found
