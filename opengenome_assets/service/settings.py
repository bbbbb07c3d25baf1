"""The server's settings: its limits, its token, and where Dagster's user interface is. All from the environment.

Where the tables lie is the platform's setting (``opengenome_assets/settings.py``); host and port are the command's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from opengenome_assets.settings import SettingsError

PREFIX = "OPENGENOME_SEARCH_"


@dataclass(frozen=True)
class ServerSettings:
    """What the server allows; a number's variable is its name in capitals after ``OPENGENOME_SEARCH_``.

    Attributes
    ----------
    max_body_bytes
        Bytes of a request's body.
    max_queries
        Sequences in one request.
    max_bases
        Letters of all sequences in one request, or of one that is fetched.
    max_hits
        Hits asked for a query, and sequences that a k-mer search lists.
    requests_per_minute
        Requests of one client to the API; 0 for any number.
    requests_at_once
        Requests to the API under way or waiting; the next is asked to come again.
    token
        What clients have to send, from ``OPENGENOME_SEARCH_TOKEN`` or, without that, the file that
        ``OPENGENOME_SEARCH_TOKEN_PATH`` names; None lets everybody in.
    dagster_url
        Where the page's link to Dagster leads, ``OPENGENOME_SEARCH_DAGSTER_URL``; empty for no link.
    """

    max_body_bytes: int = 4_000_000
    max_queries: int = 100
    max_bases: int = 2_000_000
    max_hits: int = 1000
    requests_per_minute: int = 300
    requests_at_once: int = 64
    token: str | None = None
    dagster_url: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> ServerSettings:
        """Read the settings from environment variables; an empty one counts as unset.

        Raises
        ------
        SettingsError
            If a variable holds a value that cannot be used.
        """
        env = os.environ if environment is None else environment
        numbers = {field.name: _whole_number(env, field.name) for field in fields(cls) if field.type == "int"}
        return cls(
            **{name: number for name, number in numbers.items() if number is not None},
            token=_token(env),
            dagster_url=_link(env),
        )


def _whole_number(env: Mapping[str, str], name: str) -> int | None:
    variable = f"{PREFIX}{name.upper()}"
    text = env.get(variable, "").strip()
    least = 0 if name == "requests_per_minute" else 1
    if text and not (re.fullmatch("[0-9]{1,12}", text) and int(text) >= least):
        raise SettingsError(f"{variable} is {text!r}: expected a whole number from {least}")
    return int(text) if text else None


def _token(env: Mapping[str, str]) -> str | None:
    """Return the token; its value is never repeated in an error."""
    variable, token = f"{PREFIX}TOKEN", env.get(f"{PREFIX}TOKEN", "").strip()
    if not token and (path := env.get(f"{PREFIX}TOKEN_PATH", "").strip()):
        variable = f"{PREFIX}TOKEN_PATH"
        try:
            token = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable} names {path}, which cannot be read: {error}") from error
    if not re.fullmatch("[!-~]*", token):
        raise SettingsError(f"the token of {variable} has other characters than printable ASCII without spaces")
    return token or None


def _link(env: Mapping[str, str]) -> str:
    variable, link = f"{PREFIX}DAGSTER_URL", env.get(f"{PREFIX}DAGSTER_URL", "").strip()
    if link and not re.match(r"https?://|\.{0,2}/", link):
        raise SettingsError(f"{variable} is {link!r}: expected an address that begins with http://, https://, / or ../")
    return link
