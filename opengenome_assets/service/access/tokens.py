"""Tokens of clients: made, listed, revoked, and recognised.

Belongs here: the file of tokens, and what a token permits. Does not belong here: the one token of the settings, which
names nobody (``settings.py``), and refusing a request (``guards.py``).

A token is ``og_ID_SECRET``, with 256 random bits as its secret. The file holds the SHA-256 of the whole, so that nobody
who reads it can use it. A guess is hopeless, so a slow hash would only slow the server down.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from opengenome_assets.settings import local_home
from opengenome_assets.storage.files import DamagedError, unwritable

Scope = Literal["read", "submit", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each scope includes those before it. ``read``: search, status and results. ``submit``: send jobs, and cancel one's
own. ``admin``: cancel the jobs of others."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
TEXT = re.compile(r"og_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
MOST_DAYS = 3650


class TokenError(ValueError):
    """A token is not accepted, or cannot be made or found. The message says why; it never repeats a token.

    Attributes
    ----------
    name
        Whose token it is, if that is known.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Principal:
    """Who sends a request.

    Attributes
    ----------
    name
        The token's name, or the client's address if no token names it.
    scope
        What is permitted.
    """

    name: str
    scope: Scope

    def may(self, scope: Scope) -> bool:
        """Return whether a scope is permitted."""
        return SCOPES.index(scope) <= SCOPES.index(self.scope)


class Token(BaseModel):
    """A token, without its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    scope: Scope
    sha256: str
    created: AwareDatetime
    expires: AwareDatetime
    revoked: AwareDatetime | None = None

    def state(self, now: datetime) -> Literal["valid", "expired", "revoked"]:
        """Return whether it can be used at a moment."""
        return "revoked" if self.revoked else "expired" if now >= self.expires else "valid"


class TokenList(BaseModel):
    """All tokens of a home."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[Token, ...] = ()

    def recognise(self, text: str, now: datetime) -> Principal:
        """Return whom a token names.

        Parameters
        ----------
        text
            The token, as it was sent.
        now
            The time by the server's clock. A token is valid from the moment that it is made, whatever the clock of the
            machine said that made it; only its end is compared.

        Raises
        ------
        TokenError
            If it is unknown, expired or revoked.
        """
        found = TEXT.fullmatch(text)
        token = next((each for each in self.tokens if found and each.id == found[1]), None)
        if token is None or not hmac.compare_digest(token.sha256, digest_of(text)):
            raise TokenError("found another")
        if token.state(now) == "revoked":
            raise TokenError(f"the token {token.id} is revoked. Ask the server's operator for another", token.name)
        if token.state(now) == "expired":
            raise TokenError(
                f"the token {token.id} expired at {in_words(token.expires)}, and the server's clock says "
                f"{in_words(now)}. Ask the server's operator for another",
                token.name,
            )
        return Principal(token.name, token.scope)


class Tokens:
    """The file of tokens in a home.

    Parameters
    ----------
    path
        The file.
    clock
        The time.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path, self.clock = path, clock

    def read(self) -> TokenList:
        """Return the tokens; none if there is no file.

        Raises
        ------
        DamagedError
            If the file is not as it was written.
        OSError
            If it cannot be read.
        """
        try:
            return TokenList.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return TokenList()
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise DamagedError(
                f"{self.path} is damaged: {place}: {first['msg']}. Restore it from a backup, or remove it, restart the "
                "server, and make new tokens"
            ) from error

    def create(self, name: str, scope: Scope, days: int) -> tuple[Token, str]:
        """Make a token.

        Parameters
        ----------
        name
            Who uses it. Several tokens may have a name, so that a new one can replace an old one.
        scope
            What it permits.
        days
            Days until it expires.

        Returns
        -------
        tuple
            The token, and its text, which is kept nowhere.

        Raises
        ------
        TokenError
            If name or days cannot be used.
        """
        if not NAME.fullmatch(name):
            raise TokenError(
                f"expected a name of up to 64 letters, digits, '.', '_', '@' and '-', which begins with a letter or a "
                f"digit; found {name[:80]!a}"
            )
        if not 1 <= days <= MOST_DAYS:
            raise TokenError(f"expected 1 to {MOST_DAYS:,} days, found {days}")
        with self._alone():
            known = self.read().tokens
            identity = secrets.token_hex(4)
            while any(each.id == identity for each in known):
                identity = secrets.token_hex(4)
            text = f"og_{identity}_{secrets.token_urlsafe(32)}"
            now = self.clock()
            token = Token(
                id=identity,
                name=name,
                scope=scope,
                sha256=digest_of(text),
                created=now,
                expires=now + timedelta(days=days),
            )
            self._write(TokenList(tokens=(*known, token)))
        return token, text

    def revoke(self, named: str) -> list[Token]:
        """Revoke a token by its id, or all of a name. Those that are revoked already stay as they are.

        Raises
        ------
        TokenError
            If there is none.
        """
        with self._alone():
            known = self.read().tokens
            found = {each.id for each in known if named in (each.id, each.name)}
            if not found:
                raise TokenError(f"there is no token {named[:80]!a}. `opengenome tokens list` lists them")
            now = self.clock()
            changed = [
                each.model_copy(update={"revoked": now}) if each.id in found and not each.revoked else each
                for each in known
            ]
            self._write(TokenList(tokens=tuple(changed)))
        return [each for each in changed if each.id in found]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else changes the file. The system lets go when this process dies."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self.path.parent, os.O_RDONLY)
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, tokens: TokenList) -> None:
        """Write the file at once and onto the disk, for its owner alone."""
        aside = self.path.with_suffix(".new")
        try:
            aside.unlink(missing_ok=True)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(tokens.model_dump_json(indent=1))
                stream.flush()
                os.fsync(stream.fileno())
            aside.rename(self.path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise unwritable(self.path, error) from error


def folder_of(home: str) -> Path:
    """Return the folder of tokens and audit log of a home. Servers and command line need the same one."""
    return local_home(home) / "access"


def tokens_of(home: str) -> Tokens:
    """Return the tokens of a home."""
    return Tokens(folder_of(home) / "tokens.json")


def digest_of(text: str) -> str:
    """Return the SHA-256 of a token, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def in_words(moment: datetime) -> str:
    """Return a moment as people read it, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
