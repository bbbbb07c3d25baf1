"""The source of a home: a home remembers what was named, so that a later command without OPENGENOME_SOURCE keeps it.

Belongs here: which source a run uses, and how it is remembered. Does not belong here: listing its files
(``intake/sources.py``).
"""

from __future__ import annotations

import re

from opengenome_assets.corpus.settings import SAMPLE
from opengenome_assets.corpus.tables import RAW_FASTA
from opengenome_assets.intake.sources import SourceError, split
from opengenome_assets.settings import absolute
from opengenome_assets.storage.snapshot import MissingTableError
from opengenome_assets.storage.tables import Home

_REVISION = re.compile(r"^(hf://datasets/[^/@]+/[^/@]+)@[^/]+")


def source_of(home: Home, named: str | None) -> str:
    """Return the source that is named, else the one that the home remembers, else the sample.

    Raises
    ------
    SourceError
        If none is named, and the home has a catalogue of other files than the sample's from a version that did not
        remember.
    """
    if named:
        return named
    try:
        catalogue = home.table(RAW_FASTA).at()
    except MissingTableError:
        return SAMPLE
    if remembered := catalogue.provenance.specification:
        return remembered
    rows = catalogue.read(["revision", "uri"]).to_pylist()
    if all(row["revision"].startswith("sample-") for row in rows):
        return SAMPLE
    raise SourceError(
        f"{home.uri} holds the corpus of {len(rows):,} files, the first {rows[0]['uri']}, and does not know by what "
        "name they were given. Set OPENGENOME_SOURCE to it; from then on the home remembers it"
    )


def to_remember(source: str, before: str) -> str:
    """Return a source as a home remembers it: with absolute paths, and as before if only the revision is pinned."""
    places = [name if name == SAMPLE else absolute(name) for name in split(source)]
    kept = [name if name == SAMPLE else absolute(name) for name in split(before)]
    same = [_REVISION.sub(r"\1", name) for name in places] == [_REVISION.sub(r"\1", name) for name in kept]
    return ",".join(kept if same else places)
