"""Conditional objects: one object of an object store, written by conditional put only.

Belongs here: create-if-absent and compare-and-swap through obstore, a store's refusals in plain words, and refusing a
store that ignores conditions. Does not belong here: the content of the object (``lease.py``).

obstore binds the Rust crate that delta-rs uses, so both read the same environment variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypedDict

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url

RETRY_TIMEOUT = timedelta(seconds=20)
MAX_RETRIES = 3
# The client's words for a scheme without a store, a store without conditions, and one without ETags.
UNCONDITIONAL = ("Unable to recognise URL", "501 Not Implemented", "NotImplemented", "ETag Header missing")
ENVIRONMENT = (
    "the credentials in the environment (for s3://: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, "
    "AWS_ENDPOINT_URL)"
)


class State(TypedDict, total=False):
    """The operands of a compare-and-swap: an object's ETag, and its version if the store has one."""

    e_tag: str | None
    version: str | None


UNKNOWN: State = {"e_tag": '"00000000000000000000000000000000"', "version": "1"}


class UnconditionalStoreError(OSError):
    """The object store has no conditional put, so it cannot hold a lease. A retry does not help."""


class ConditionalObject:
    """An object that is written by conditional put only.

    Parameters
    ----------
    uri
        Its address: ``s3://bucket/key``, ``gs://bucket/key`` or ``az://container/key``.

    Raises
    ------
    UnconditionalStoreError
        If no object store with conditional put has the scheme.
    OSError
        If the settings in the environment are wrong. A retry does not help.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        root, _, self._name = uri.rpartition("/")
        with self._in_words():
            # With client_options, obstore would not read AWS_ALLOW_HTTP and its like from the environment.
            self._store = from_url(root, retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT})

    def read(self) -> tuple[bytes, State] | None:
        """Return the content and its state; None if there is no such object.

        Raises
        ------
        OSError
            If the store refuses or does not answer.
        """
        with self._in_words():
            try:
                found = obstore.get(self._store, self._name)
                return bytes(found.bytes()), _state(found.meta["e_tag"], found.meta["version"])
            except FileNotFoundError:
                return None

    def create(self, content: bytes) -> State | None:
        """Create the object and return its state; return None if it exists.

        Raises
        ------
        UnconditionalStoreError
            If the store has no conditional put.
        OSError
            If the store refuses or does not answer. It may still have written the object.
        """
        with self._in_words():
            try:
                written = obstore.put(self._store, self._name, content, mode="create")
                return _state(written["e_tag"], written["version"])
            except AlreadyExistsError:
                return None

    def swap(self, content: bytes, expected: State) -> State | None:
        """Replace the object if it has the expected state, and return the new state; else return None.

        Raises
        ------
        UnconditionalStoreError
            If the store has no conditional put.
        OSError
            If the store refuses or does not answer. It may still have written the object.
        """
        with self._in_words():
            try:
                written = obstore.put(self._store, self._name, content, mode=expected)
                return _state(written["e_tag"], written["version"])
            except PreconditionError:
                return None

    def refuse_ignored_conditions(self, content: bytes) -> None:
        """Refuse a store that accepts conditional puts and ignores their conditions.

        Parameters
        ----------
        content
            The object's current content.

        Raises
        ------
        UnconditionalStoreError
            If a put with a false condition succeeds.
        """
        for header, state in (("If-None-Match", self.create(content)), ("If-Match", self.swap(content, UNKNOWN))):
            if state is not None:
                raise UnconditionalStoreError(_unconditional(self.uri, f"it ignores {header}"))

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turn the client's errors into messages that say what to do."""
        try:
            yield
        except (UnauthenticatedError, PermissionDeniedError, PermissionError) as error:
            raise OSError(
                f"{self.uri}: the object store refused the request ({_reason(error)}). Expected the right to read and "
                f"write there. Check {ENVIRONMENT}; a retry does not help"
            ) from error
        except FileNotFoundError as error:
            raise OSError(
                f"{self.uri}: the object store has no such bucket ({_reason(error)}). Create it, or set "
                "OPENGENOME_HOME to another place; a retry does not help"
            ) from error
        except NotSupportedError as error:
            raise UnconditionalStoreError(_unconditional(self.uri, _reason(error))) from error
        except BaseError as error:
            reason = _reason(error)
            if any(words in reason for words in UNCONDITIONAL):
                raise UnconditionalStoreError(_unconditional(self.uri, reason)) from error
            raise OSError(
                f"{self.uri}: the object store could not be asked ({reason}). Expected an answer to a read "
                f"or write. Check the address and {ENVIRONMENT}; a retry can help"
            ) from error


def _state(e_tag: str | None, version: str | None) -> State:
    return {"e_tag": e_tag, "version": version} if version else {"e_tag": e_tag}


def _reason(error: BaseException) -> str:
    """Return the first line of an error, without the client's prefix and the structures that follow."""
    return re.sub(r"^Generic \w+ error: ", "", str(error).splitlines()[0]).strip()


def _unconditional(uri: str, reason: str) -> str:
    return (
        f"{uri}: the object store has no conditional put ({reason}). Expected If-None-Match and If-Match, without "
        "which two writers cannot be kept apart. Set OPENGENOME_HOME to a store that has them, or to a local folder; "
        "a retry does not help"
    )
