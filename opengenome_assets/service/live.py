"""What may change while the server runs: limits, names of the server, log level, and tokens.

Belongs here: reading their files again when they change. Does not belong here: what a setting means (``settings.py``),
and what a token permits (``access/tokens.py``).

A file that cannot be used changes nothing: the server goes on with what it has, and its log says why. At its start it
refuses such a file.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import anyio
import anyio.to_thread

from opengenome_assets.service.access.audit import AuditLog
from opengenome_assets.service.access.tokens import TokenList, Tokens
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import SettingsError

LOG = logging.getLogger("opengenome.access")
LOGGERS = ("opengenome.search", "opengenome.jobs", "opengenome.access", "uvicorn")

SECONDS = 1.0  # between two looks

FIXED = ("proxies", "token", "token_path", "settings_path")
"""Settings that a file cannot change: the server's connections and the places of files."""

_Value = TypeVar("_Value")


class FollowedFiles(Generic[_Value]):
    """A value that is read from files, and read again when one of them changes.

    Parameters
    ----------
    paths
        The files. One that does not exist counts as a state of its own.
    read
        Function that reads the value. It raises ValueError or OSError if the files cannot be used.

    Attributes
    ----------
    value
        The newest value that could be read.
    problem
        Why the newest state of the files cannot be used; empty if it can.
    """

    def __init__(self, paths: Iterable[Path], read: Callable[[], _Value]) -> None:
        self._paths, self._read = tuple(paths), read
        self._state = self._look()
        self.value = read()
        self.problem = ""

    def refresh(self) -> bool:
        """Read the files again if they have changed. Return whether the value or the problem is another."""
        state = self._look()
        if state == self._state:
            return False
        self._state = state
        before = self.value, self.problem
        try:
            if None in state:
                gone = self._paths[state.index(None)]
                raise FileNotFoundError(f"{gone} is gone")
            self.value, self.problem = self._read(), ""
        except (OSError, ValueError) as error:
            self.problem = str(error)
        return (self.value, self.problem) != before

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_signature(path) for path in self._paths]


class Live:
    """The settings and tokens of a running server.

    Parameters
    ----------
    given
        Settings of the environment.
    tokens
        The file of tokens.
    audit
        The audit log, which names each change.

    Raises
    ------
    SettingsError
        If the file of settings or of tokens cannot be used.
    """

    def __init__(self, given: ServerSettings, tokens: Tokens, audit: AuditLog) -> None:
        self._audit = audit
        self._is_closed = False
        files = [Path(path) for path in (given.settings_path, given.token_path) if path]
        try:
            self._limits = FollowedFiles(files, lambda: _settings(given))
            self._tokens = FollowedFiles([tokens.path], tokens.read)
        except OSError as error:
            raise SettingsError(str(error)) from error

    @property
    def limits(self) -> ServerSettings:
        """The settings."""
        return self._limits.value

    @property
    def tokens(self) -> TokenList:
        """The tokens."""
        return self._tokens.value

    @property
    def asks_for_tokens(self) -> bool:
        """Whether clients need a token. Nothing that changes opens a server that has asked for them: a restart does."""
        self._is_closed |= bool(self.limits.token or self.tokens.tokens or self.limits.issuer)
        return self._is_closed

    def refresh(self) -> None:
        """Take changes of the files over, and say what has changed."""
        before = self.limits
        if self._limits.refresh():
            changes = [
                f"{name} is {'another' if name == 'token' else repr(getattr(self.limits, name))}"
                for name in type(before).model_fields
                if getattr(self.limits, name) != getattr(before, name)
            ]
            self._tell("settings", self._limits.problem, ", ".join(changes) or "the same as before")
            set_level(self.limits.log_level)
        if self._tokens.refresh():
            self._tell("tokens", self._tokens.problem, f"{len(self.tokens.tokens):,} in the file")

    def _tell(self, what: str, problem: str, change: str) -> None:
        if problem:
            LOG.error("new %s are not used: %s. The server goes on with those it has", what, problem)
        else:
            LOG.info("new %s: %s", what, change)
        self._audit.write("server", f"read {what}", problem or change)

    async def follow(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await anyio.to_thread.run_sync(self.refresh)
            await anyio.sleep(SECONDS)


def set_level(level: str) -> None:
    """Set the least level of the server's loggers."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(level)


def _settings(given: ServerSettings) -> ServerSettings:
    """Return the settings of the environment with those of the file.

    Raises
    ------
    SettingsError
        If the file cannot be used. It names the setting, what is expected and what was found.
    """
    if not given.settings_path:
        return given.changed({})
    path = Path(given.settings_path)
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as TOML: {error}") from error
    allowed = [name for name in type(given).model_fields if name not in FIXED]
    for name in values:
        if name in FIXED:
            raise SettingsError(f"{path}: {name} cannot change while the server runs: set its variable, and restart")
        if name not in allowed:
            raise SettingsError(f"{path}: expected settings named {', '.join(allowed)}; found {name!a:.60}")
    try:
        return given.changed(values)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
