"""The server's settings: its limits, its token, and where Dagster's user interface is.

Belongs here: what ``opengenome serve`` allows. Does not belong here: where the tables lie, which is the platform's
(``opengenome_assets/settings.py``), and host and port, which are the command's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from opengenome_assets.settings import Section, SettingsError

PREFIX = "OPENGENOME_SEARCH_"


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


class ServerSettings(Section):
    """What the server allows; a setting's variable is its name in capitals after ``OPENGENOME_SEARCH_``.

    Attributes
    ----------
    max_body_bytes, max_queries, max_bases, max_hits
        Limits of one request.
    requests_per_minute, requests_at_once
        Rate limit of one client, and limit of all together.
    token
        What clients have to send; empty lets everybody in. Without it the file that ``token_path`` names is read.
    dagster_url
        Where the page's link to Dagster leads; empty for no link.
    """

    max_body_bytes: int = Field(
        default=4_000_000, validation_alias=_variable("max_body_bytes"), description="bytes of a request's body"
    )
    max_queries: int = Field(
        default=100, validation_alias=_variable("max_queries"), description="sequences in one request"
    )
    max_bases: int = Field(
        default=2_000_000,
        validation_alias=_variable("max_bases"),
        description="letters in one request, and of a sequence that is fetched",
    )
    max_hits: int = Field(
        default=1000,
        validation_alias=_variable("max_hits"),
        description="hits of a query, and sequences that a k-mer search lists",
    )
    requests_per_minute: int = Field(
        default=300,
        validation_alias=_variable("requests_per_minute"),
        description="requests of one client to the API; 0 for any number",
    )
    requests_at_once: int = Field(
        default=64,
        validation_alias=_variable("requests_at_once"),
        description="requests to the API under way or waiting; four searches run at a time, each on all cores",
    )
    token: str = Field(
        default="",
        repr=False,
        validation_alias=_variable("token"),
        description="what clients have to send: `Authorization: Bearer …`",
    )
    token_path: str = Field(
        default="",
        validation_alias=_variable("token_path"),
        description="a file that holds it; not read if `OPENGENOME_SEARCH_TOKEN` is set",
    )
    dagster_url: str = Field(
        default="",
        validation_alias=_variable("dagster_url"),
        description="where the page's link to Dagster leads; `make ui` and the cluster set it",
    )

    @field_validator(
        "max_body_bytes",
        "max_queries",
        "max_bases",
        "max_hits",
        "requests_per_minute",
        "requests_at_once",
        mode="before",
    )
    @classmethod
    def _whole_number(cls, value: Any, info: ValidationInfo) -> int:
        least = 0 if info.field_name == "requests_per_minute" else 1
        if not (re.fullmatch("[0-9]{1,12}", str(value)) and int(value) >= least):
            raise SettingsError(
                f"{_variable(info.field_name or '')} is {value!r}: expected a whole number from {least}"
            )
        return int(value)

    @field_validator("dagster_url")
    @classmethod
    def _link(cls, link: str) -> str:
        if link and not re.match(r"https?://|\.{0,2}/", link):
            raise SettingsError(
                f"{_variable('dagster_url')} is {link!r}: expected an address that begins with http://, https://, / "
                "or ../"
            )
        return link

    @model_validator(mode="before")
    @classmethod
    def _read_token(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Read the token's file, if need be; no message repeats a token."""
        token, path = (given.get(_variable(name)) or given.get(name) or "" for name in ("token", "token_path"))
        variable = _variable("token" if token else "token_path")
        if not token and path:
            try:
                token = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"{variable} names {path}, which cannot be read: {error}") from error
        if not re.fullmatch("[!-~]*", token):
            raise SettingsError(f"the token of {variable} has other characters than printable ASCII without spaces")
        return {name: value for name, value in given.items() if name != _variable("token")} | {"token": token}
