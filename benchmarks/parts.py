"""Scale of a table: commit, open and list one of many parts, each with one small file, in a new process each.

``python -m benchmarks.parts [PARTS [FOLDER]]`` makes a table of 100,000 parts by default and prints seconds, processor
seconds and the peak of memory of each step. Belongs here: the bookkeeping of a table. Does not belong here: making its
rows (``pipeline.py``).
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from opengenome_assets.storage.contents import content_of
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import MANIFEST, DataFile, Part, write_part
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.tables import Home

NAME = "parts"
FACTS = {"source": "genomes", "shard_bases": [1]}


def keys(count: int) -> list[str]:
    """Return keys of parts, as digests are."""
    return [hashlib.sha256(b"%d" % number).hexdigest() for number in range(count)]


def make(home: Home, count: int) -> None:
    """Write parts of one row. All but the first are copies, with manifests of their own."""
    table, (first, *others) = home.table(NAME), keys(count)
    part = write_part(table.uri, first, pa.table({"n": [1]}), **FACTS)
    (file,) = part.files
    content = Path(table.uri, file.path).read_bytes()
    for key in others:
        folder = Path(table.uri, key)
        folder.mkdir()
        (folder / "00000.parquet").write_bytes(content)
        manifest: dict[str, Any] = {
            "files": [{"path": f"{key}/00000.parquet", "size": file.size, "rows": 1}],
            "contents": [content_of(f"{table.uri}/{file.path}")],
            "facts": FACTS,
        }
        (folder / MANIFEST).write_text(json.dumps({**manifest, "digest": digest(manifest)}))


def commit(home: Home, count: int) -> None:
    """Commit the parts, as the driver does whose engine returned their manifests."""
    table = home.table(NAME)
    index = PartIndex(table.uri)
    first = index.find(keys(1)[0])
    assert first is not None
    (file,) = first.files
    parts = [first]
    parts += [
        Part(key, (DataFile(f"{key}/00000.parquet", file.size, 1, content=file.content),), FACTS)
        for key in keys(count)[1:]
    ]
    provenance = Provenance(name=NAME, code_version="1", settings={"parts": count})
    table.commit(pa.schema({"n": pa.int64()}), parts, provenance)


def commit_less(home: Home, count: int) -> None:
    """Commit all parts but one, which changes one file."""
    commit(home, count - 1)


def open_table(home: Home, count: int) -> None:
    """Open the newest version, and read its record."""
    snapshot = home.table(NAME).at()
    assert snapshot.input.version >= 0


def list_files(home: Home, count: int) -> None:
    """List the parts of the newest version and their files."""
    assert len(home.table(NAME).at().parts) >= count - 1


def find(home: Home, count: int) -> None:
    """Find every part by its key, as a run does that has nothing to compute."""
    assert len(PartIndex(home.table(NAME).uri).find_all(keys(count))) == count


STEPS: tuple[Callable[[Home, int], None], ...] = (make, commit, open_table, list_files, find, commit_less, open_table)


def main() -> None:
    """Run each step in a process of its own."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    if len(sys.argv) > 3:
        step = globals()[sys.argv[3]]
        started = time.monotonic()
        step(Home(sys.argv[2]), count)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(
            f"{sys.argv[3]:<12} {time.monotonic() - started:8.2f} s  {used.ru_utime + used.ru_stime:8.2f} CPU s  "
            f"{used.ru_maxrss / 1024:8.0f} MiB",
            flush=True,
        )
        return
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="parts-")
    try:
        for step in STEPS:
            subprocess.run([sys.executable, "-m", "benchmarks.parts", str(count), folder, step.__name__], check=True)
        log = next(Path(folder, "tables", NAME, "_delta_log").glob("*0.json"))
        print(f"first entry of the log: {os.path.getsize(log) / 1e6:.1f} MB")
    finally:
        if len(sys.argv) <= 2:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
