"""Slurm: the batch script of a job that makes assets on the nodes of an allocation.

Belongs here: the head of the script, with the job's options and the user's settings. Does not belong here: the script
itself, ``opengenome.sbatch`` beside this module, which works without this head too; and sending it to Slurm
(``cli/slurm.py``).
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BODY = Path(__file__).with_name("opengenome.sbatch")
# Apptainer parts the folders to bind by these.
SEPARATORS = ",:"
PATTERN = "*?["


class SlurmJobError(ValueError):
    """A job cannot be written. The message names the option, its value and what is expected."""


@dataclass(frozen=True)
class SlurmJob:
    """A job that makes assets in one home.

    Attributes
    ----------
    image
        The SIF, which every node can read.
    home
        The home: a folder that all nodes share.
    nodes
        Number of nodes, each with one worker.
    cores
        Cores of each node.
    memory
        Memory of each node, as Slurm writes it: ``48G``.
    time
        Time limit, as Slurm writes it: ``04:00:00``.
    selections
        Assets in Dagster's selection syntax. With several, a job array makes one after the other.
    folders
        Further folders that the assets read.
    scratch
        Folder of each node's own disk; None: ``SLURM_TMPDIR``, ``TMPDIR`` or ``/tmp`` of the node.
    variables
        The user's settings, as environment variables.
    options
        Further options of ``sbatch``.
    """

    image: Path
    home: str
    nodes: int
    cores: int
    memory: str
    time: str
    selections: tuple[str, ...] = ("*",)
    folders: tuple[str, ...] = ()
    scratch: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of all jobs of this home: of those with one name and user, Slurm runs one at a time."""
        return f"opengenome-{hashlib.sha256(self.home.encode()).hexdigest()[:8]}"

    @property
    def logs(self) -> Path:
        """Folder of the job's logs."""
        return Path(self.home) / "slurm"

    def script(self) -> str:
        """Return the batch script, which needs no file and no variable beside it.

        Raises
        ------
        SlurmJobError
            If the home is no folder, or a path or selection cannot be passed on.
        """
        head = [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in self._options()),
            *(f"export {name}={shlex.quote(value)}" for name, value in self._exports().items()),
        ]
        return "\n".join(head) + "\n" + BODY.read_text().partition("\n")[2]

    def _options(self) -> Iterator[str]:
        # Blanks part the options of a line, unless they are quoted.
        log = "%A_%a.log" if len(self.selections) > 1 else "%j.log"
        yield f"--job-name={self.name} --dependency=singleton"
        yield f"--output={shlex.quote(f'{self.logs}/{log}')}"
        yield f"--nodes={self.nodes} --ntasks-per-node=1 --cpus-per-task={self.cores} --mem={self.memory}"
        yield f"--time={self.time} --requeue --open-mode=append --no-kill --signal=B:USR1@180"
        if len(self.selections) > 1:
            yield f"--array=0-{len(self.selections) - 1}%1"
        if self.options:
            yield shlex.join(self.options)

    def _exports(self) -> dict[str, str]:
        if "://" in self.home:
            raise SlurmJobError(f"OPENGENOME_HOME is {self.home}: expected a folder that all nodes share")
        for path in (self.home, *self.folders):
            if any(letter in path for letter in (*SEPARATORS, "\n")):
                raise SlurmJobError(f"{path}: Apptainer cannot bind a path with one of {SEPARATORS} or a line break")
        for selection in self.selections:
            if "\n" in selection or not selection.strip():
                raise SlurmJobError(f"--select is {selection!r}: expected one line of Dagster's selection syntax")
        return {
            **self.variables,
            "OPENGENOME_HOME": self.home,
            "OPENGENOME_SIF": str(self.image),
            "OPENGENOME_SELECT": "\n".join(self.selections),
            **({"OPENGENOME_BIND": ",".join(self.folders)} if self.folders else {}),
            **({"OPENGENOME_SCRATCH": self.scratch} if self.scratch else {}),
        }


def folders_named(values: Mapping[str, str], home: str) -> list[str]:
    """Return the folders outside the home that settings name, so that the job can read them.

    Parameters
    ----------
    values
        Settings: absolute paths of files and folders, also patterns and several with commas; others are passed over.
    home
        The home, which is bound anyway.
    """
    found = set()
    for place in ",".join(values.values()).split(","):
        path = Path(place.strip()).expanduser()
        if "://" in place or not path.is_absolute():
            continue
        while any(letter in path.name for letter in PATTERN) or not path.is_dir():
            path = path.parent
        if path != Path("/") and not path.is_relative_to(home):
            found.add(str(path))
    return sorted(found)
