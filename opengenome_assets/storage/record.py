"""What made a table: code, inputs, settings, and the circumstances.

One typed record, written into the table's commit and into the materialisation. Whoever reads a table later knows from
it what determined its content (:attr:`Provenance.data_version`), which corpus it describes and how it came to be, and a
step that puts several tables together refuses those that do not belong together. How tables are stored is not said
here, nor how the facts about the running program are found out (``environment.py``).
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
"""Raised when a record can no longer be read rightly by the code before; 1 had no ``format``."""


class NewerRecordError(RuntimeError):
    """A record is of a newer form than this package knows; an upgrade helps, a retry does not."""


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def abbreviated(value: Any) -> Any:
    """Return a value with its digests, also those within mappings, cut to what people compare."""
    if isinstance(value, dict):
        return {name: abbreviated(inner) for name, inner in value.items()}
    return value[:16] if isinstance(value, str) and DIGEST.fullmatch(value) else value


class Input(BaseModel):
    """A table that was read, as it was when it was read."""

    model_config = ConfigDict(frozen=True)

    version: int
    data_version: str


class Provenance(BaseModel):
    """What made a table or a file.

    What determines the content is its name, code version, settings and inputs. The rest says how it came to be; records
    made before a field existed have its default.

    Attributes
    ----------
    format
        Form of the record.
    name
        The asset.
    code_version
        Version of the code that computes its content; raised whenever the same inputs would give other rows.
    settings
        What the user could have set otherwise and what would then have changed the content.
    inputs
        The tables read, with their versions.
    corpus
        Data version of the group's basis that the content describes (of the corpus: sequence_shards); empty for what
        comes before it.
    run_id
        The Dagster run that made it.
    package_version
        Version of this package at that time.
    commit, modules, libraries
        The git commit, the code that computed it and the libraries under it, as ``environment`` returns them.
    started
        When the making began, by the clock of the machine that did it.
    seconds, cpu_seconds
        What it took until then, on the clock, and of processor time in the process that led it; work in Spark's
        workers counts in the first alone.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    code_version: str
    settings: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, Input] = Field(default_factory=dict)
    corpus: str = ""
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
        """Digest of all that determines the content: equal digests mean equal rows."""
        return digest(
            {
                "name": self.name,
                "code_version": self.code_version,
                "settings": self.settings,
                "inputs": {name: given.data_version for name, given in self.inputs.items()},
            }
        )


class IncompatibleTablesError(ValueError):
    """Tables that describe different corpora were to be used together; a retry cannot help, a refresh does."""


def common_corpus(upstream: Mapping[str, Provenance]) -> str:
    """Return the corpus that all given tables describe.

    Raises
    ------
    IncompatibleTablesError
        If they do not describe the same one; the message names the tables to refresh.
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
