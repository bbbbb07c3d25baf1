"""The settings of the proteins: where they are, their organisms, the catalogue, and the borders of the levels.

Belongs here: the user's settings. Does not belong here: settings of a single run, the run config of each asset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from opengenome_assets.settings import Section, SettingsError, refuse_long_names

SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).with_name("sample")
SHIPPED = "shipped"
NAMES = ("HIGH", "MEDIUM", "LOW")

Level = tuple[str, float, float, float]
LEVELS: tuple[Level, ...] = (("HIGH", 0.95, 0.9, 0.8), ("MEDIUM", 0.8, 0.7, 0.5), ("LOW", 0.6, 0.5, 0.3))
"""Level, least identity, least coverage of both proteins, least score divided by the longer one's letters."""
_EXAMPLE = "HIGH=0.95/0.9/0.8,MEDIUM=0.8/0.7/0.5,LOW=0.6/0.5/0.3"


def parse_levels(value: Any) -> tuple[Level, ...]:
    """Return the levels, the strictest first, from a list or ``NAME=IDENTITY/COVERAGE/SCORE`` separated by commas."""
    if not isinstance(value, str):
        return tuple((str(name), *map(float, borders)) for name, *borders in value)  # type: ignore[misc]
    levels: list[Any] = []
    for text in value.split(","):
        name, _, borders = text.strip().partition("=")
        try:
            levels.append((name, *(float(border) for border in borders.split("/"))))
        except ValueError:
            levels.append((name,))
    usable = [level[0] for level in levels] == list(NAMES) and all(
        len(level) == 4 and 0 <= level[1] <= 1 and 0 <= level[2] <= 1 for level in levels
    )
    if not usable or any(a < b for above, below in pairwise(levels) for a, b in zip(above[1:], below[1:], strict=True)):
        raise SettingsError(
            f"OPENGENOME_PROTEIN_LEVELS is {value!r}: expected the least identity, coverage and score per letter of "
            f"each level, descending, e.g. {_EXAMPLE}"
        )
    return tuple(levels)


def _checked(variable: str) -> AfterValidator:
    return AfterValidator(lambda text: refuse_long_names(variable, text))


class ProteinsSettings(Section):
    """The settings of the group.

    Attributes
    ----------
    source
        Files and folders of proteins and assemblies, separated by commas, or ``sample``.
    sheet
        The sample sheet; empty for ``samples.tsv`` in the folder of proteins, if it is there.
    catalogue
        ``shipped``, or two files separated by a comma: mutations (TSV) and references (FASTA). Two more are those of
        DNA.
    levels
        The levels, the strictest first.
    """

    source: Annotated[str, _checked("OPENGENOME_PROTEINS")] = Field(
        default=SAMPLE,
        validation_alias="OPENGENOME_PROTEINS",
        description="proteins (`{accession}_proteins.fasta`, `.faa`) and assemblies (`.fna`, `.fasta`): files and "
        "folders, or `sample`",
    )
    sheet: Annotated[str, _checked("OPENGENOME_PROTEINS_SHEET")] = Field(
        default="",
        validation_alias="OPENGENOME_PROTEINS_SHEET",
        description="sample sheet: a TSV with accession, organism and genetic_code; unset: `samples.tsv` beside the "
        "proteins, if it is there",
    )
    catalogue: Annotated[str, _checked("OPENGENOME_CATALOGUE")] = Field(
        default=SHIPPED,
        validation_alias="OPENGENOME_CATALOGUE",
        description="known mutations (TSV) and their references (FASTA), separated by a comma, of proteins and, if "
        "wanted, after them of DNA; or `shipped`",
    )
    levels: Annotated[tuple[Level, ...], NoDecode, BeforeValidator(parse_levels)] = Field(
        default=LEVELS,
        validation_alias="OPENGENOME_PROTEIN_LEVELS",
        description="least identity, coverage and score per letter of each level",
    )

    def show(self, name: str) -> str:
        """Return a setting's value in the form of its environment variable."""
        if name == "levels":
            return ",".join(
                f"{level}={identity:g}/{cover:g}/{score:g}" for level, identity, cover, score in self.levels
            )
        if name == "sheet":
            return self.sheet or "samples.tsv beside the proteins"
        return super().show(name)


def level_of(levels: Sequence[Level], identity: float, coverage: float, per_letter: float) -> str:
    """Return the strictest level whose borders a pair reaches; FAILED for none."""
    for name, least_identity, least_coverage, least_score in levels:
        if identity >= least_identity and coverage >= least_coverage and per_letter >= least_score:
            return name
    return "FAILED"


def as_mapping(levels: Sequence[Level]) -> Mapping[str, Sequence[float]]:
    """Return the levels as a record holds them."""
    return {name: list(borders) for name, *borders in levels}
