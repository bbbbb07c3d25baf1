"""The settings of the corpus.

Belongs here: the settings of a user, and their form in the environment. Does not belong here: settings of a single run,
which are the run config of each asset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from opengenome_assets.settings import Section, SettingsError, refuse_long_names

MAX_K = 12  # that of kernels.kmers, whose import would load Numba
SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).with_name("sample")


def parse_ks(value: Any) -> tuple[int, ...]:
    """Return k-mer lengths, ascending, from a list or a text with commas."""
    try:
        ks = tuple(sorted({int(part) for part in (value.split(",") if isinstance(value, str) else value)}))
    except (TypeError, ValueError):
        ks = ()
    if not ks or ks[0] < 1 or ks[-1] > MAX_K:
        raise SettingsError(
            f"OPENGENOME_KS is {value!r}: expected whole numbers from 1 to {MAX_K} separated by commas, e.g. 6,7,8"
        )
    return ks


def parse_genetic_codes(value: Any) -> dict[str, int]:
    """Return the genetic code table of each source, from a mapping or ``source=table`` pairs separated by commas."""
    if isinstance(value, Mapping):
        return dict(value)
    codes = {}
    for pair in str(value).split(","):
        source, equals, table = pair.partition("=")
        if not (equals and source.strip() and re.fullmatch(r"\s*[0-9]{1,3}\s*", table)):
            raise SettingsError(
                f"OPENGENOME_GENETIC_CODES holds {pair!r}: expected SOURCE=TABLE pairs separated by commas, "
                "e.g. plastids=11,mitochondria=5 (tables as numbered by NCBI)"
            )
        codes[source.strip()] = int(table)
    return codes


class CorpusSettings(Section):
    """The settings of the corpus.

    Attributes
    ----------
    source
        Where FASTA comes from: ``sample``, or files, folders and places on the Hub, separated by commas. None: the
        source that the home remembers.
    ks
        Lengths of the k-mers counted, ascending, each 1 to 12.
    genetic_codes
        NCBI genetic code table of each source that the user names.
    max_unusable_share
        Maximum share of files that are left out because they cannot be used; with more, a run stops. 0 is strict.
    """

    source: Annotated[str, AfterValidator(lambda text: refuse_long_names("OPENGENOME_SOURCE", text))] | None = Field(
        default=None,
        validation_alias="OPENGENOME_SOURCE",
        description="where FASTA comes from: files, folders, places on the Hub, or `sample`; unset: the source "
        "that the home remembers, the sample in a new one",
    )
    ks: Annotated[tuple[int, ...], NoDecode, BeforeValidator(parse_ks)] = Field(
        default=(6, 7, 8),
        validation_alias="OPENGENOME_KS",
        description=f"lengths of the k-mers that are counted, 1 to {MAX_K}",
    )
    genetic_codes: Annotated[dict[str, int], NoDecode, BeforeValidator(parse_genetic_codes)] = Field(
        default_factory=dict,
        validation_alias="OPENGENOME_GENETIC_CODES",
        description="genetic code of each source, as `SOURCE=TABLE,…`; unset: those of the sample's sources, else "
        "table 1",
    )

    max_unusable_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        validation_alias="OPENGENOME_MAX_UNUSABLE_SHARE",
        description="share of the files that may be left out, loudly, because they cannot be used; with more, the run "
        "stops. `0` is strict",
    )

    def show(self, name: str) -> str:
        """Return a setting's value in the form of its environment variable."""
        if name == "source":
            return self.source or "the home's own, else the sample"
        if name == "ks":
            return ",".join(map(str, self.ks))
        if name == "genetic_codes":
            pairs = ",".join(f"{source}={table}" for source, table in self.genetic_codes.items())
            return pairs or "by source: the sample's own, else 1"
        return super().show(name)
