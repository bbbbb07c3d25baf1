"""Provenance: the record of a result's code, inputs, settings and circumstances.

Belongs here: one typed record, written into the table's commit and into the materialisation. It says what determined
the content (:attr:`Provenance.data_version`), which corpus the table describes, and how it was made. A step that joins
tables refuses tables of different corpora. Does not belong here: how tables are stored (``tables.py``), and gathering
facts about the running program (``framework/environment.py``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opengenome_assets import __version__
from opengenome_assets.words import materialize

DIGEST = re.compile("[0-9a-f]{64}")
FORMAT = 2
"""Raised when older code can no longer read a record correctly. Form 1 had no ``format``."""


class NewerRecordError(RuntimeError):
    """A record has a newer form than this package knows. An upgrade helps, a retry does not."""


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> bytes:
    """Return a small record as JSON, with a digest that covers the rest of it."""
    return json.dumps({"digest": digest(content), **content}, indent=1).encode()


def unsealed(text: bytes) -> dict[str, Any]:
    """Return the content of a sealed record. One that version 0.1.0 wrote has no digest, and is taken as it is.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it is no record")
    if content.pop("digest", None) not in (None, digest(content)):
        raise ValueError("its digest is that of another content")
    return content


def abbreviated(value: Any) -> Any:
    """Return a value with its digests, also within mappings, cut to 16 digits for people."""
    if isinstance(value, dict):
        return {name: abbreviated(inner) for name, inner in value.items()}
    return value[:16] if isinstance(value, str) and DIGEST.fullmatch(value) else value


class Input(BaseModel):
    """A table that was read: its version and data version at that time."""

    model_config = ConfigDict(frozen=True)

    version: int
    data_version: str


class Provenance(BaseModel):
    """The origin of a table or a file.

    Name, code version, settings and inputs determine the content. The rest describes the making. Records from before a
    field existed have its default.

    Attributes
    ----------
    format
        Form of the record.
    name
        The asset.
    code_version
        Version of the code that computes its content, raised whenever the same inputs would give other rows.
    settings
        The settings that decided the content.
    inputs
        The tables read, with their versions.
    corpus
        Data version of the group's basis that the content describes (in the corpus: sequence_shards); empty for assets
        upstream of the basis.
    specification
        Of a catalogue: the source that the user named; empty for other tables.
    run_id
        The Dagster run that made it.
    package_version
        Version of this package at that time.
    commit, modules, libraries
        The git commit, the computing modules and the libraries, as ``environment`` returns them.
    started
        Start of the making, by the clock of its machine.
    seconds, cpu_seconds
        Elapsed time, and processor time of the leading process. Work in Spark's workers counts only in the elapsed
        time.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    code_version: str
    settings: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, Input] = Field(default_factory=dict)
    corpus: str = ""
    specification: str = ""
    run_id: str = ""
    package_version: str = __version__
    commit: str = ""
    modules: dict[str, str] = Field(default_factory=dict)
    libraries: dict[str, str] = Field(default_factory=dict)
    started: datetime | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_newer(cls, record: Any) -> Any:
        form = record.get("format", 1) if isinstance(record, dict) else 1
        if isinstance(form, int) and form > FORMAT:
            raise NewerRecordError(
                f"{record.get('name')} was made by opengenome-assets {record.get('package_version')}, whose records "
                f"have the form {form}; this is {__version__}, which knows forms up to {FORMAT}. Upgrade "
                "opengenome-assets to read it"
            )
        return record

    @property
    def data_version(self) -> str:
        """Digest of everything that determines the content. Equal digests mean equal rows."""
        return digest(
            {
                "name": self.name,
                "code_version": self.code_version,
                "settings": self.settings,
                "inputs": {name: given.data_version for name, given in self.inputs.items()},
            }
        )


class IncompatibleTablesError(ValueError):
    """Tables of different corpora were to be used together. A retry does not help, a refresh does."""


def common_corpus(upstream: Mapping[str, Provenance]) -> str:
    """Return the corpus that all given tables describe.

    Raises
    ------
    IncompatibleTablesError
        If they describe different corpora. The message names the tables to refresh.
    """
    corpora = {name: record.corpus for name, record in upstream.items() if record.corpus}
    common = next(iter(corpora.values()), "")
    stale = sorted(name for name, corpus in corpora.items() if corpus != common)
    if stale:
        raise IncompatibleTablesError(
            f"{', '.join(stale)}: made from another corpus (data version "
            f"{', '.join(corpora[name][:12] for name in stale)}) than the other tables read here ({common[:12]}). "
            f"Refresh: {materialize(','.join(stale))}"
        )
    return common
