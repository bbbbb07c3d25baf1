"""Conditional objects: one object of an object store that is written by conditional put only.

Belongs here: create-if-absent and compare-and-swap through obstore, what a store's refusals mean in plain words, and
refusing a store that ignores conditions. Does not belong here: what the object says (``lease.py``).

obstore binds the Rust crate that delta-rs uses, so both read the same variables of the environment.
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
# How the client says that a scheme is of no store, that a store knows no condition, and that it gives no ETag.
UNCONDITIONAL = ("Unable to recognise URL", "501 Not Implemented", "NotImplemented", "ETag Header missing")
ENVIRONMENT = (
    "the credentials in the environment (for s3://: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, "
    "AWS_ENDPOINT_URL)"
)


class State(TypedDict, total=False):
    """What a compare-and-swap compares: an object's ETag, and its version where the store has one."""

    e_tag: str | None
    version: str | None


UNKNOWN: State = {"e_tag": '"00000000000000000000000000000000"', "version": "1"}


class UnconditionalStoreError(OSError):
    """The object store has no conditional put, so nothing there can be locked; a retry does not help."""


class ConditionalObject:
    """An object that is written by conditional put only.

    Parameters
    ----------
    uri
        Its address: ``s3://bucket/key``, ``gs://bucket/key`` or ``az://container/key``.

    Raises
    ------
    UnconditionalStoreError
        If the scheme is of no object store with conditional put.
    OSError
        If the settings in the environment do not fit; a retry does not help.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        root, _, self._name = uri.rpartition("/")
        with self._in_words():
            # Given client_options, obstore no longer reads AWS_ALLOW_HTTP and its like from the environment.
            self._store = from_url(root, retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT})

    def read(self) -> tuple[bytes, State] | None:
        """Return the content and its state, or None if there is no such object.

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
        """Write the object if there is none, and return its state; else return None.

        Raises
        ------
        UnconditionalStoreError
            If the store has no conditional put.
        OSError
            If the store refuses or does not answer; it may have written the object all the same.
        """
        with self._in_words():
            try:
                written = obstore.put(self._store, self._name, content, mode="create")
                return _state(written["e_tag"], written["version"])
            except AlreadyExistsError:
                return None

    def swap(self, content: bytes, expected: State) -> State | None:
        """Replace the object if its state is the expected one, and return the new state; else return None.

        Raises
        ------
        UnconditionalStoreError
            If the store has no conditional put.
        OSError
            If the store refuses or does not answer; it may have written the object all the same.
        """
        with self._in_words():
            try:
                written = obstore.put(self._store, self._name, content, mode=expected)
                return _state(written["e_tag"], written["version"])
            except PreconditionError:
                return None

    def refuse_ignored_conditions(self, content: bytes) -> None:
        """Refuse a store that answers conditional puts and ignores their conditions.

        Parameters
        ----------
        content
            What the object holds at this moment.

        Raises
        ------
        UnconditionalStoreError
            If a put succeeds whose condition does not hold.
        """
        for header, state in (("If-None-Match", self.create(content)), ("If-Match", self.swap(content, UNKNOWN))):
            if state is not None:
                raise UnconditionalStoreError(_unconditional(self.uri, f"it ignores {header}"))

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turn what the client of the object store raises into what went wrong and what to do."""
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
    """Return the first line of an error, without the client's kind of error; its own structures follow."""
    return re.sub(r"^Generic \w+ error: ", "", str(error).splitlines()[0]).strip()


def _unconditional(uri: str, reason: str) -> str:
    return (
        f"{uri}: the object store has no conditional put ({reason}). Expected If-None-Match and If-Match, without "
        "which two writers cannot be kept apart. Set OPENGENOME_HOME to a store that has them, or to a local folder; "
        "a retry does not help"
    )
