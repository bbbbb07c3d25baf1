"""Catalogues: tables that list source files.

Belongs here: the record of a catalogue's content. Does not belong here: which files a group lists.
"""

from __future__ import annotations

import pyarrow as pa

from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.record import Provenance, digest


def catalogue_record(spec: TableSpec, rows: pa.Table) -> Provenance:
    """Return the record of a catalogue, which source, path and checksum of its files determine."""
    content = digest(rows.select(["source", "path", "sha256"]).to_pylist())
    return Provenance(name=spec.name, code_version=spec.code_version, settings={"files": content})
