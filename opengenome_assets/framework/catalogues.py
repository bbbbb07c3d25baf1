"""Catalogues: tables that list source files.

Belongs here: what determines the content of a catalogue. Does not belong here: which files a group lists.
"""

from __future__ import annotations

import pyarrow as pa

from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.record import Provenance, digest


def catalogue_record(spec: TableSpec, rows: pa.Table) -> Provenance:
    """Return the record of a catalogue: which files of which source with which bytes make it what it is."""
    content = digest(rows.select(["source", "path", "sha256"]).to_pylist())
    return Provenance(name=spec.name, code_version=spec.code_version, settings={"files": content})
