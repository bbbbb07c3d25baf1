"""Drafts: what was sent, in a folder of its own, before it is taken as a job.

Belongs here: roles, names, options, and the id of a job. Does not belong here: what the files hold, which the kind of
job checks, and taking the job (``store.py``).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from opengenome_assets.framework.jobs import JobKind, RefusedError, Sent, SentFile
from opengenome_assets.service.jobs.inbox import Blob
from opengenome_assets.service.jobs.job import place_of
from opengenome_assets.service.jobs.records import File
from opengenome_assets.settings import Settings
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


def drafted(
    draft: Path, kind: JobKind, files: Sequence[tuple[str, str, Blob]], options: Mapping[str, Any], platform: Settings
) -> Sent:
    """Link the files into a new folder, with the names that they were sent with.

    Raises
    ------
    RefusedError
        If roles, names or options are not those of the kind. It names all faults.
    """
    faults: list[str] = []
    names: set[tuple[str, str]] = set()
    for role, name, _ in files:
        if role not in kind.roles:
            faults.append(f"{name}: expected a role of {', '.join(kind.roles)}, found {role!a}")
        elif not FILE_NAME.fullmatch(name):
            faults.append(
                f"expected a file name of up to 200 letters, digits, '.', '_', '+' and '-', found {name[:200]!a}; "
                "rename it, or copy it"
            )
        elif (role, name) in names:
            faults.append(f"{name}: expected names that differ, found this one twice")
        names.add((role, name))
    try:
        given = kind.options.model_validate(dict(options))
    except ValidationError as error:
        for each in error.errors():
            place = ".".join(map(str, each["loc"])) or "options"
            faults.append(f"{place}: {each['msg'].removeprefix('Value error, ')}, found {each.get('input')!a:.80}")
    if faults:
        raise RefusedError(faults)
    draft.mkdir(parents=True)
    sent: list[SentFile] = []
    for role, name, blob in files:
        path = place_of(draft, role, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        _link(blob.path, path)
        sent.append(SentFile(role, name, path, blob.bytes, blob.sha256))
    return Sent(Home(str(draft)), tuple(sent), given, platform)


def identity_of(kind: JobKind, files: Sequence[File], settings: Mapping[str, Any]) -> str:
    """Return a job's id: digest of all that determines its results. The order of files does not."""
    named = sorted([each.role, each.name, each.sha256] for each in files)
    return digest(
        {
            "kind": kind.name,
            "files": [[role, [each[1:] for each in named if each[0] == role]] for role in kind.roles],
            "settings": settings,
            "code": {table.name: table.code_version for table in (*kind.steps, *kind.results)},
        }
    )


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # a file system without links
        shutil.copyfile(source, place)
