"""The settings of the search.

Belongs here: the user's settings for searching with many queries. Does not belong here: limits of the server
(``service/settings.py``).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from opengenome_assets.settings import Section, refuse_long_names


class SearchSettings(Section):
    """The settings of the search; ``queries`` names FASTA to search the corpus with, or is empty."""

    queries: Annotated[str, AfterValidator(lambda text: refuse_long_names("OPENGENOME_QUERIES", text))] = Field(
        default="",
        validation_alias="OPENGENOME_QUERIES",
        description="FASTA to search the corpus with, in every run: [search.md](search.md)",
    )
