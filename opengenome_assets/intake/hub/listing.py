"""Listings: the files that a specification names on the Hugging Face Hub, at a commit.

Belongs here: addresses, revisions, listings and access rights of datasets on the Hub. Does not belong here: fetching
files (``store.py``), and which of them are used (``sources.py``).

The library ``huggingface_hub`` makes addresses, headers and errors, and reads the settings. Its own calls for listings
have no timeout and wait as long as a rate limit asks. So this module requests pages through the library's client.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status, parse_hf_uri
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HfUriError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

from opengenome_assets import __version__
from opengenome_assets.intake.hub.download import RemoteFile
from opengenome_assets.intake.hub.request import TRANSIENT_STATUSES, Access, RemoteError, asked_wait

PREFIX = "hf://"
EXAMPLE = "hf://datasets/arcinstitute/opengenome2@main/fasta/organelles/*"
REQUEST_SECONDS = 10.0
ATTEMPTS = 3

# A file or folder in the API's answer: type, path, oid, size, and for a file in LFS lfs.oid, its SHA-256.
HubEntry = dict[str, Any]
_T = TypeVar("_T")


class HubError(RemoteError):
    """The Hub was not reached, refused, or does not have the named place."""


@dataclass(frozen=True)
class Specification:
    """A place in a dataset repository: ``hf://datasets/OWNER/NAME[@REVISION][/PATH-OR-GLOB]``.

    Attributes
    ----------
    repo
        ``OWNER/NAME``.
    revision
        Branch, tag or commit as named, or None for the default branch. A slash in it is written ``%2F``.
    path
        A file, a folder (all files below it), or a glob; empty for the whole repository. In a glob, ``*``, ``?`` and
        ``[…]`` match within one name, and ``**`` matches any number of folders, also none.
    """

    repo: str
    revision: str | None = None
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Specification:
        """Parse a specification.

        Raises
        ------
        HubError
            If it is malformed.
        """
        try:
            uri = parse_hf_uri(text.rstrip("/"))
        except HfUriError as error:
            raise HubError(f"{text}: {error}. Expected something like {EXAMPLE}") from None
        if uri.type != "dataset" or not text.startswith(PREFIX):
            raise HubError(f"{text}: names a {uri.type}, expected a dataset, something like {EXAMPLE}")
        return cls(uri.id, uri.revision, uri.path_in_repo)

    def __str__(self) -> str:
        revision = f"@{self.revision.replace('/', '%2F')}" if self.revision else ""
        return f"{PREFIX}datasets/{self.repo}{revision}" + (f"/{self.path}" if self.path else "")

    def at(self, commit: str) -> Specification:
        """Return the same place at a commit."""
        return replace(self, revision=commit)

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return re.fullmatch("[0-9a-f]{40}", self.revision or "") is not None

    @property
    def folder(self) -> str:
        """The path up to its first wildcard: the smallest folder with all named files."""
        return "/".join(self._split()[0])

    @property
    def pattern(self) -> tuple[str, ...]:
        """The rest of the path, name by name; empty without a wildcard."""
        return tuple(self._split()[1])

    def _split(self) -> tuple[list[str], list[str]]:
        names = [name for name in self.path.split("/") if name]
        wild = next((place for place, name in enumerate(names) if re.search(r"[*?[]", name)), len(names))
        return names[:wild], names[wild:]


@dataclass(frozen=True)
class HubListing:
    """The files that a specification names at one commit.

    Attributes
    ----------
    specification
        The specification, as given.
    commit
        The commit of its revision, 40 hexadecimal digits.
    files
        The files, sorted by their path in the repository.
    """

    specification: Specification
    commit: str
    files: tuple[RemoteFile, ...]


def endpoint_from_environment() -> str:
    """Return HF_ENDPOINT, or the address of the public Hub."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def token_from_environment() -> str | None:
    """Return HF_TOKEN, else the content of the file that HF_TOKEN_PATH names, else None.

    The file that a login to the Hub leaves is not read.

    Raises
    ------
    HubError
        If it cannot be a token; the message does not repeat its value.
    """
    token, variable = os.environ.get("HF_TOKEN", "").strip(), "HF_TOKEN"
    if not token and (path := os.environ.get("HF_TOKEN_PATH")) and os.path.exists(path):
        token, variable = Path(path).read_text().strip(), f"{path} (HF_TOKEN_PATH)"
    if not re.fullmatch("[!-~]*", token):
        raise HubError(f"{variable} holds characters that no token has. Copy it again from the Hub's settings page")
    return token or None


@dataclass(frozen=True)
class Hub:
    """A Hub, with the rights of one user.

    Parameters
    ----------
    endpoint
        Its address; default HF_ENDPOINT, else https://huggingface.co.
    token
        The user's token; default HF_TOKEN.
    seconds
        Maximum seconds per call of a method, including retries.
    """

    endpoint: str = field(default_factory=endpoint_from_environment)
    token: str | None = field(default_factory=token_from_environment, repr=False)
    seconds: float = 60.0

    @property
    def access(self) -> Access:
        """Credentials for the files that `list_files` names."""
        return Access(
            self.headers,
            "If the dataset is private or gated: open its page, accept its conditions, and set HF_TOKEN to a token of "
            f"that account that may read it ({self.endpoint}/settings/tokens)",
        )

    def resolve(self, specification: Specification) -> str:
        """Return the revision's current commit: one small request, or none if the revision is a commit.

        Raises
        ------
        HubError
            If the Hub is not reached, refuses, or does not have the revision.
        """
        return self._call(specification).commit()

    def fingerprint(self, specification: Specification) -> str:
        """Return an id that changes with the content of the specification's folder: one small request.

        It is git's id of the folder or file, and the commit for the whole repository. The request is for the
        specification's revision; pin that to the commit that `resolve` returned.
        """
        call = self._call(specification)
        return str(call.entry(specification.folder)["oid"]) if specification.folder else call.commit()

    def list_files(self, specification: Specification) -> HubListing:
        """List the files that a specification names, at its revision's current commit.

        It makes one request for the commit, and one per 1,000 entries of the folder.

        Raises
        ------
        HubError
            If no file matches.
        """
        call = self._call(specification)
        commit = call.commit()
        call = replace(call, specification=specification.at(commit))
        folder, pattern = specification.folder, specification.pattern
        entries = [] if pattern or not folder else [call.entry(folder)]
        if not entries or entries[0]["type"] != "file":
            entries = list(call.tree(folder, recursive=len(pattern) != 1 or pattern[0] == "**"))
        depth = len(folder.split("/")) if folder else 0
        files = [
            self._file(specification.repo, commit, entry)
            for entry in entries
            if entry["type"] == "file" and (not pattern or matches(entry["path"].split("/")[depth:], pattern))
        ]
        if not files:
            there = ", ".join(sorted(entry["path"] for entry in entries)[:10]) or "nothing"
            raise HubError(
                f"{specification}: no file matches at commit {commit}. {folder or 'The repository'} has {there}"
            )
        return HubListing(specification, commit, tuple(sorted(files, key=lambda file: file.path)))

    @property
    def headers(self) -> dict[str, str]:
        """The user's credentials, for the endpoint only."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _call(self, specification: Specification) -> _Call:
        return _Call(self, specification, time.monotonic() + self.seconds)

    def _file(self, repo: str, commit: str, entry: HubEntry) -> RemoteFile:
        path = entry["path"]
        url = hf_hub_url(repo, path, repo_type="dataset", revision=commit, endpoint=self.endpoint)
        # The blob id of an LFS file is that of its pointer, not of its bytes.
        lfs = entry.get("lfs")
        sha256, blob_id = (lfs["oid"], None) if lfs else (None, entry["oid"])
        return RemoteFile(path, entry["size"], url, sha256, blob_id)


def matches(names: list[str], pattern: tuple[str, ...]) -> bool:
    """Whether a path, name by name, matches a glob."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        return matches(names, pattern[1:]) or (bool(names) and matches(names[1:], pattern))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and matches(names[1:], pattern[1:])


@dataclass(frozen=True)
class _Call:
    """Requests for one specification, before a deadline."""

    hub: Hub
    specification: Specification
    deadline: float

    def commit(self) -> str:
        """Return the commit of the revision."""
        named = self.specification
        if named.pinned:
            return str(named.revision)
        api = HfApi(endpoint=self.hub.endpoint, token=self.hub.token or False)

        def ask(timeout: float) -> str:
            info = api.dataset_info(named.repo, revision=named.revision, expand=["sha"], timeout=timeout)
            if info.sha is None:
                raise ValueError("the answer names no commit")
            return info.sha

        return self._with_retries(ask)

    def entry(self, path: str) -> HubEntry:
        """Return the API's entry of one file or folder."""
        body = {"paths": [path], "expand": False}
        entries, _ = self._page("POST", f"{self._api}/paths-info/{self._revision}", data=body)
        if not entries:
            raise HubError(f"{self.specification}: {self._absent(path)}")
        return entries[0]

    def tree(self, folder: str, *, recursive: bool) -> Iterator[HubEntry]:
        """Yield the API's entries of the files and folders in a folder."""
        url = f"{self._api}/tree/{self._revision}" + (f"/{quote(folder, safe='')}" if folder else "")
        query: str | None = f"recursive={recursive}&expand=False"
        while query is not None:
            entries, query = self._page("GET", f"{url}?{query}")
            yield from entries

    def _absent(self, path: str) -> str:
        page = f"{self.hub.endpoint}/datasets/{self.specification.repo}/tree/{self._revision}"
        return f"{self.specification.repo} has no {path!r} at that revision. See what it has: {page}"

    @property
    def _api(self) -> str:
        return f"{self.hub.endpoint}/api/datasets/{self.specification.repo}"

    @property
    def _revision(self) -> str:
        return quote(self.specification.revision or constants.DEFAULT_REVISION, safe="")

    def _page(self, method: str, url: str, **given: Any) -> tuple[list[HubEntry], str | None]:
        """Return one page of entries and the query of the next."""
        headers = {"User-Agent": f"opengenome-assets/{__version__}", **self.hub.headers}

        def ask(timeout: float) -> tuple[list[HubEntry], str | None]:
            response = get_session().request(method, url, headers=headers, timeout=timeout, **given)
            hf_raise_for_status(response)
            # Only the query: behind a proxy the address names a host that must not see the token.
            following = response.links.get("next", {}).get("url")
            return response.json(), urlsplit(following).query if following else None

        return self._with_retries(ask)

    def _with_retries(self, ask: Callable[[float], _T]) -> _T:
        """Send a request, and retry it while the failure is transient and time is left."""
        attempt = 0
        while True:
            attempt += 1
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise HubError(
                    f"{self.specification}: {self.hub.endpoint} did not finish within {self.hub.seconds:,.0f} s. "
                    "Try again later",
                    passing=True,
                )
            try:
                return ask(min(REQUEST_SECONDS, left))
            except (OSError, ValueError, KeyError, httpx2.HTTPError, httpx2.InvalidURL) as error:
                problem = self._explain(error)
                asked = asked_wait(error.response.headers.get) if isinstance(error, HfHubHTTPError) else None
            pause = asked if asked is not None else 0.5 * 2**attempt
            if not problem.passing or attempt == ATTEMPTS or time.monotonic() + pause > self.deadline:
                raise problem
            time.sleep(pause)

    def _explain(self, error: Exception) -> HubError:
        """Return a failure in words, with a remedy."""
        named, hub = self.specification, self.hub
        page = f"{hub.endpoint}/datasets/{named.repo}"
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        passing = status in TRANSIENT_STATUSES or isinstance(error, httpx2.TransportError)
        match error:
            case OfflineModeIsEnabled():
                words = "HF_HUB_OFFLINE is set. Unset it, or name a folder of this machine as source"
            case GatedRepoError():
                words = (
                    f"{named.repo} is gated. Accept its conditions at {page} and set HF_TOKEN to a token of that "
                    "account"
                )
            case RevisionNotFoundError():
                revision = named.revision or "main"
                words = f"{named.repo} has no revision {revision!r}. See its branches and tags: {page}/tree/main"
            case EntryNotFoundError():
                words = self._absent(named.folder)
            case _ if status == 401 and hub.token:
                words = f"HF_TOKEN was refused. Make a new token at {hub.endpoint}/settings/tokens, or unset HF_TOKEN"
            case _ if status in (401, 403, 404):
                words = (
                    f"there is no dataset {named.repo}, or it is private. Check its name at {page}; "
                    "if it is private, set HF_TOKEN to a token that may read it"
                )
            case HfHubHTTPError():
                asked = asked_wait(error.response.headers.get)
                words = f"{hub.endpoint} answered {status}. Try again " + (f"in {asked:,.0f} s" if asked else "later")
            case httpx2.TransportError():
                words = (
                    f"{hub.endpoint} was not reached ({error or type(error).__name__}). Check the network, HTTPS_PROXY "
                    "and HF_ENDPOINT; without network, name a folder of this machine as source"
                )
            case _:
                words = (
                    f"{hub.endpoint} gave an answer that is not the Hub's ({type(error).__name__}: {error}). "
                    "Check HF_ENDPOINT, and whether a proxy stands between"
                )
        message = getattr(error, "server_message", None)
        return HubError(
            hub.access.redact(f"{named}: {words}" + (f". The Hub says: {message}" if message else "")), passing=passing
        )
