"""The server's settings: its limits, who may ask it, and where Dagster's user interface is.

Belongs here: limits of ``opengenome serve``. Does not belong here: the place of the tables
(``opengenome_assets/settings.py``), and host and port, which are options of the command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from opengenome_assets.service.access.tokens import SCOPES, Scope
from opengenome_assets.service.addresses import is_trustworthy
from opengenome_assets.settings import Section, SettingsError

PREFIX = "OPENGENOME_SEARCH_"

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _listed(text: str) -> list[str]:
    return [word for each in text.split(",") if (word := each.strip())]


class ServerSettings(Section):
    """Limits of the server; a setting's variable is its name in capitals after ``OPENGENOME_SEARCH_``.

    Attributes
    ----------
    max_body_bytes, max_queries, max_bases, max_hits, max_comparisons
        Limits of one request.
    max_upload_bytes, max_jobs_waiting
        Limits of jobs: bytes of one file, and waiting jobs of one client.
    requests_per_minute, requests_at_once
        Rate limit of one client, and maximum number of requests under way.
    hosts
        Names that clients may use for the server, beside ``localhost`` and addresses; ``*`` for any.
    proxies
        Addresses and networks of proxies whose ``X-Forwarded-For`` is believed; ``*`` for any.
    token
        Bearer token that clients must send; empty for none. If it is empty, the file ``token_path`` is read.
    issuer, audience
        An OpenID Connect issuer whose tokens are accepted, and whom they must be for; empty for none.
    roles_claim, roles
        The claim of those tokens that has the client's roles, and the scope of each role.
    dagster_url
        Address of the page's link to Dagster; empty for no link.
    log_level
        Least level of the lines in the server's log.
    settings_path
        A file of settings that the server reads again when it changes (``live.py``); empty for none.
    """

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    max_body_bytes: int = Field(
        default=4_000_000, validation_alias=_variable("max_body_bytes"), description="maximum bytes of a request's body"
    )
    max_queries: int = Field(
        default=100, validation_alias=_variable("max_queries"), description="maximum sequences in one request"
    )
    max_bases: int = Field(
        default=2_000_000,
        validation_alias=_variable("max_bases"),
        description="maximum letters in one request, and of a fetched sequence",
    )
    max_hits: int = Field(
        default=1000,
        validation_alias=_variable("max_hits"),
        description="maximum hits per query, and sequences that a k-mer search lists",
    )
    max_comparisons: int = Field(
        default=10_000,
        validation_alias=_variable("max_comparisons"),
        description="maximum hits of one request, over all queries: each is read and compared with its query; "
        "to sort by containment, ten times as many are",
    )
    max_upload_bytes: int = Field(
        default=1_000_000_000,
        validation_alias=_variable("max_upload_bytes"),
        description="maximum bytes of one file of a job",
    )
    max_jobs_waiting: int = Field(
        default=1000,
        validation_alias=_variable("max_jobs_waiting"),
        description="maximum jobs of one kind that wait for one client",
    )
    requests_per_minute: int = Field(
        default=300,
        validation_alias=_variable("requests_per_minute"),
        description="rate limit of the API: maximum requests per minute of one client; 0 for none",
    )
    requests_at_once: int = Field(
        default=64,
        validation_alias=_variable("requests_at_once"),
        description="maximum requests to the API under way or waiting; four searches run at a time, each on all cores",
    )
    hosts: str = Field(
        default="",
        validation_alias=_variable("hosts"),
        description="names that clients may use for the server, separated by commas, beside `localhost` and addresses "
        "(a web site can give its own name the address of this server, but not take another name); `*` for any",
    )
    proxies: str = Field(
        default="",
        validation_alias=_variable("proxies"),
        description="addresses and networks of proxies, separated by commas, that name the client in "
        "`X-Forwarded-For`, which is ignored from others; `*` for any",
    )
    token: str = Field(
        default="",
        repr=False,
        validation_alias=_variable("token"),
        description="bearer token that clients must send: `Authorization: Bearer …`",
    )
    token_path: str = Field(
        default="",
        validation_alias=_variable("token_path"),
        description="a file that holds it; not read if `OPENGENOME_SEARCH_TOKEN` is set",
    )
    issuer: str = Field(
        default="",
        validation_alias=_variable("issuer"),
        description="address of an OpenID Connect issuer, whose JSON Web Tokens are accepted beside the server's own "
        "(docs/access.md)",
    )
    audience: str = Field(
        default="",
        validation_alias=_variable("audience"),
        description="the audience that those tokens must name: this server's identifier at the issuer",
    )
    roles_claim: str = Field(
        default="roles",
        validation_alias=_variable("roles_claim"),
        description="the claim of those tokens that has the client's roles, such as `groups` or `realm_access.roles`",
    )
    roles: str = Field(
        default="read=read,submit=submit,admin=admin",
        validation_alias=_variable("roles"),
        description="roles and the scope of each: `read`, `submit` or `admin`",
    )
    dagster_url: str = Field(
        default="",
        validation_alias=_variable("dagster_url"),
        description="where the page's link to Dagster leads; `make ui` and the cluster set it",
    )
    log_level: Level = Field(
        default="INFO",
        validation_alias=_variable("log_level"),
        description="least level of the lines in the server's log: `DEBUG`, `INFO`, `WARNING` or `ERROR`",
    )
    settings_path: str = Field(
        default="",
        validation_alias=_variable("settings_path"),
        description="a TOML file of settings that replace those of the environment, and may change while the server "
        "runs (docs/access.md)",
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the section with some values, and remember them for :meth:`changed`."""
        section = super().of(values)
        section._given = dict(values)
        return section

    def changed(self, values: Mapping[str, Any]) -> Self:
        """Return these settings with other values, by name. The token's file is read again.

        Raises
        ------
        SettingsError
            If a value cannot be used.
        """
        names = {variable: name for name, variable in self.variables().items()}
        given = {names.get(key, key): value for key, value in (self._given or self.model_dump()).items()}
        changed = type(self).of({**given, **values})
        changed._given, changed._origins = self._given, self._origins
        return changed

    @field_validator(
        "max_body_bytes",
        "max_queries",
        "max_bases",
        "max_hits",
        "max_comparisons",
        "max_upload_bytes",
        "max_jobs_waiting",
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

    @field_validator("hosts")
    @classmethod
    def _names(cls, names: str) -> str:
        for name in _listed(names):
            if not re.fullmatch(r"\*|[A-Za-z0-9_.-]+", name):
                raise SettingsError(
                    f"{_variable('hosts')} has {name!r}: expected names without ports, separated by commas, or *"
                )
        return names

    @field_validator("proxies")
    @classmethod
    def _networks(cls, networks: str) -> str:
        for network in _listed(networks):
            try:
                if network != "*":
                    ip_network(network)
            except ValueError as error:
                raise SettingsError(
                    f"{_variable('proxies')} has {network!r}: expected addresses and networks such as 10.0.0.0/8, "
                    "separated by commas, or *"
                ) from error
        return networks

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The names of ``hosts``, in small letters."""
        return frozenset(_listed(self.hosts.lower()))

    @field_validator("issuer")
    @classmethod
    def _place_of_keys(cls, issuer: str) -> str:
        if issuer and (not is_trustworthy(issuer) or urlsplit(issuer).query or urlsplit(issuer).fragment):
            raise SettingsError(
                f"{_variable('issuer')} is {issuer!r}: expected an address that begins with https://, without a query; "
                "http:// is for issuers on this machine"
            )
        return issuer

    @field_validator("roles")
    @classmethod
    def _scopes(cls, roles: str) -> str:
        for each in _listed(roles):
            role, _, scope = each.rpartition("=")
            if not role.strip() or scope.strip() not in SCOPES:
                raise SettingsError(
                    f"{_variable('roles')} has {each!r}: expected ROLE=SCOPE, separated by commas, with a scope of "
                    f"{', '.join(SCOPES)}"
                )
        return roles

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.issuer and not self.audience:
            raise SettingsError(
                f"{_variable('audience')} is not set: expected this server's identifier at {self.issuer}, since the "
                "issuer's tokens for other servers must not open this one"
            )
        return self

    @property
    def scopes_of_roles(self) -> dict[str, Scope]:
        """The scope of each role."""
        pairs = [each.rpartition("=") for each in _listed(self.roles)]
        return {role.strip(): next(each for each in SCOPES if each == scope.strip()) for role, _, scope in pairs}

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
        """Read the token's file, if one is named; no message repeats a token."""
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
