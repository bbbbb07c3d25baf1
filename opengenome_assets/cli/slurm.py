"""Commands on a Slurm cluster: ``slurm submit``.

Belongs here: their options, and sending a script to ``sbatch``. Does not belong here: the script
(``deployment/slurm.py``).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click

from opengenome_assets import groups
from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.deployment.slurm import SlurmJob, SlurmJobError, folders_named
from opengenome_assets.terminal import refusals

GIGABYTES_PER_CORE = 3


@click.group()
def slurm() -> None:
    """Make assets on the nodes of a Slurm cluster, from a SIF with Apptainer (docs/slurm.md)."""


@slurm.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--image",
    type=click.Path(resolve_path=True, path_type=Path),
    envvar="OPENGENOME_SIF",
    required=True,
    help="The SIF, which every node can read; also OPENGENOME_SIF.",
)
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Nodes, one worker each.")
@click.option("--cores", type=click.IntRange(1), default=4, show_default=True, help="Cores of each node.")
@click.option("--memory", help=f"Memory of each node, e.g. 48G.  [default: {GIGABYTES_PER_CORE}G per core]")
@click.option("--time", default="04:00:00", show_default=True, help="Time limit; a job that reaches it is requeued.")
@click.option(
    "--select",
    "selections",
    multiple=True,
    default=("*",),
    show_default=True,
    help="Assets, in Dagster's selection syntax. Several make a job array, one task after the other.",
)
@click.option(
    "--bind",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    multiple=True,
    help="A further folder that the assets read. Those that settings name are bound anyway.",
)
@click.option("--scratch", help="Folder of each node's own disk.  [default: SLURM_TMPDIR, TMPDIR or /tmp there]")
@click.option("--dry-run", is_flag=True, help="Print the batch script; submit nothing.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[SBATCH OPTIONS]...")
def submit(
    image: Path,
    nodes: int,
    cores: int,
    memory: str | None,
    time: str,
    selections: tuple[str, ...],
    bind: tuple[str, ...],
    scratch: str | None,
    dry_run: bool,
    options: tuple[str, ...],
) -> None:
    """Submit a job that makes assets in the home, a folder that all nodes share.

    The settings of the environment are written into the job. Further options go to sbatch, e.g. --partition=long. Of
    the jobs of one home, Slurm runs one at a time. On a login node without this package, use that of the SIF:
    `apptainer exec SIF opengenome slurm submit --dry-run ... | sbatch`.
    """
    settings = settings_in_use()
    declared = [variable for group in groups.GROUPS for variable in group.settings.variables().values()]
    variables = {name: os.environ[name].strip() for name in declared if os.environ.get(name, "").strip()}
    for name in ("HF_ENDPOINT", "HF_HUB_OFFLINE"):
        if name in os.environ:
            variables[name] = os.environ[name]
    job = SlurmJob(
        image=image,
        home=settings.home,
        nodes=nodes,
        cores=cores,
        memory=memory or f"{GIGABYTES_PER_CORE * cores}G",
        time=time,
        selections=selections,
        folders=tuple(sorted({*folders_named(variables, settings.home), *bind})),
        scratch=scratch,
        variables=variables,
        options=options,
    )
    try:
        script = job.script()
    except SlurmJobError as error:
        raise click.ClickException(str(error)) from error
    if dry_run:
        click.echo(script, nl=False)
        return
    if not image.is_file():
        raise click.ClickException(f"--image is {image}: expected the SIF. docs/slurm.md says how to make it")
    with refusals():
        job.logs.mkdir(parents=True, exist_ok=True)  # Slurm ends a job that cannot write its log
    try:
        answer = subprocess.run(["sbatch", "--parsable"], input=script, text=True, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise click.ClickException(
            "There is no sbatch here. Run this on a login node of the cluster, or write the script with --dry-run and "
            "pass it to sbatch there"
        ) from error
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"sbatch refused the job: {error.stderr.strip()}") from error
    number = answer.stdout.strip().partition(";")[0]
    log = f"{job.logs}/{number}{'_TASK' if len(selections) > 1 else ''}.log"
    click.echo(f"Job {number} in the queue. Log: {log}\nState: squeue --job {number}; end: scancel {number}")
