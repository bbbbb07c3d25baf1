"""Commands of jobs: ``submit``, ``status``, ``results`` and ``cancel``.

Belongs here: arguments, wording and exit codes. Does not belong here: jobs themselves (``service/jobs``), and what a
kind of job takes: each kind that a group declares is a command of ``submit``, with its options.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from opengenome_assets import groups
from opengenome_assets.cli.platform import in_cluster, next_step, settings_in_use
from opengenome_assets.framework.jobs import JobKind
from opengenome_assets.terminal import aligned, folded, format_option, refusals
from opengenome_assets.words import plural

if TYPE_CHECKING:
    from opengenome_assets.client import Client
    from opengenome_assets.service.jobs.job import Job
    from opengenome_assets.service.jobs.records import Status
    from opengenome_assets.service.jobs.store import Jobs

POLL_SECONDS = 0.5
SHORT = 12


@contextmanager
def jobs_in_use() -> Iterator[Jobs]:
    """Give the jobs of the home; what is refused is an error of the command."""
    settings = settings_in_use()
    from opengenome_assets.service.jobs.store import Jobs

    with refusals():
        yield Jobs(settings, groups.job_kinds())


server_option: Callable[[Any], Any] = click.option(
    "--server",
    envvar="OPENGENOME_SERVER",
    show_envvar=True,
    help="Address of a server, instead of the home. OPENGENOME_TOKEN is its token, if it asks for one.",
)


@contextmanager
def client_of(server: str) -> Iterator[Client]:
    """Give the client of a server; what it refuses, or that it is not there, is an error of the command."""
    import httpx

    from opengenome_assets.client import Client, ServerError

    try:
        with Client(server, os.environ.get("OPENGENOME_TOKEN", "")) as client, refusals():
            yield client
    except ServerError as error:
        raise click.ClickException(error.detail) from error
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        words = f"{server} cannot be reached: {error}. Check the address, and that the server runs"
        raise click.ClickException(words) from error


@click.group()
def submit() -> None:
    """Send a job: files, to be worked on beside everything else.

    The same work sent twice is one job. Small jobs are done at once.
    """


def command_of(kind: JobKind) -> click.Command:
    """Return the command that sends jobs of a kind."""
    others = list(kind.roles)[1:]

    def send(files: tuple[Path, ...], wait: bool, output: str, server: str | None, **given: Any) -> None:
        named = [(kind.main_role, path) for path in files]
        named += [(role, path) for role in others for path in given.pop(role)]
        with refusals():
            named += [pair for path in files for pair in kind.named_by(path) if pair not in named]
        options = {name: value for name, value in given.items() if value is not None}
        if server:
            with client_of(server) as client:
                _refuse_homonyms(named)
                roles = {role: [path for own, path in named if own == role] for role in kind.roles}
                current: Status = client.submit(kind.name, roles.pop(kind.main_role), roles=roles, **options)
                if wait:
                    current = client.wait(current)
                _tell(current, output)
            if current.state == "failed":
                raise SystemExit(1)
            return
        with jobs_in_use() as jobs:
            _refuse_homonyms(named)
            sent = [(role, path.name, jobs.inbox.keep(path)) for role, path in named]
            job, is_new = jobs.submit(kind, sent, options)
            if wait or job.submission.units <= kind.small:
                _work(jobs, job)
            _tell(jobs.status(job), output, is_new)
            if job.state == "failed":
                raise SystemExit(1)

    command: Any = server_option(format_option(send))
    command = click.option(
        "--wait", is_flag=True, help="Do its work here and now, unless a daemon is at it already, and wait for its end."
    )(command)
    for name, field in reversed(kind.options.model_fields.items()):
        command = click.option(
            f"--{name.replace('_', '-')}", name, type=_type(field.annotation), help=field.description
        )(command)
    for role in reversed(others):
        command = click.option(f"--{role}", role, type=_FILE, multiple=True, help=_sentence(kind.roles[role]))(command)
    command = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)(command)
    help_ = f"{kind.description}\n\nFILE is {kind.roles[kind.main_role]}."
    made: click.Command = click.command(kind.name, help=help_)(command)
    return made


_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def _type(annotation: Any) -> Any:
    options = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is Literal:
        return click.Choice(list(options))
    return options[0] if options else annotation


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _refuse_homonyms(named: list[tuple[str, Path]]) -> None:
    first: dict[tuple[str, str], Path] = {}
    for role, path in named:
        if (other := first.setdefault((role, path.name), path)) is not path:
            raise ValueError(f"{other} and {path} have the same name: rename one of them")


def _work(jobs: Jobs, job: Job) -> None:
    """Do a job's work in this process, or wait for the process that is at it."""
    from opengenome_assets.engine.processes import Processes
    from opengenome_assets.service.jobs.work import work_on

    while job.outcome is None:
        if job.is_locked:
            time.sleep(POLL_SECONDS)
            continue
        with Processes(preload=groups.passes()) as engine:
            if error := work_on(jobs, job, engine):
                raise click.ClickException(
                    f"{error}. The job waits, and is tried again: send it again, or start a daemon"
                )


for _kind in groups.job_kinds().values():
    submit.add_command(command_of(_kind))


@click.command()
@click.argument("identity", metavar="[ID]", required=False)
@click.option("--follow", is_flag=True, help="Show each change until the job has ended. Needs ID.")
@format_option
@server_option
def status(identity: str | None, follow: bool, output: str, server: str | None) -> None:
    """Show where the job ID stands, or all jobs. The first digits of an id are enough.

    With --follow, exits with status 1 if the job failed or was cancelled.
    """
    if follow and not identity:
        raise click.UsageError("--follow needs the ID of a job")
    source = client_of(server) if server else jobs_in_use()
    with source as jobs:
        if identity and follow:
            current = _followed(jobs, identity, output)
        elif identity:
            current = _status(jobs, identity)
        else:
            found = _all(jobs)
    if identity:
        _tell(current, output)
        if follow and current.state != "done":
            raise SystemExit(1)
        return
    if output == "json":
        click.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
        return
    rows = [(each.id[:SHORT], each.kind, _state(each), plural(each.units, each.unit)) for each in found]
    click.echo("\n".join(aligned(rows)) if rows else "no jobs. Send one with: opengenome submit proteins FILE")


@click.command()
@click.argument("identity", metavar="ID")
@click.option("--table", help="The table. Default: the first of those that `opengenome status ID` lists.")
@click.option(
    "--format",
    "form",
    default="tsv",
    show_default=True,
    help="json, ndjson, tsv, parquet, or a form that the kind of job has.",
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write a file instead.")
@server_option
def results(identity: str, table: str | None, form: str, output: Path | None, server: str | None) -> None:
    """Print the results of the job ID, in the version that it made."""
    from opengenome_assets.service.jobs.results import MEDIA, read_page, special, written

    kinds = groups.job_kinds().values()
    if form not in MEDIA and not any(form in kind.forms for kind in kinds):
        known = [*MEDIA, *(each for kind in kinds for each in kind.forms)]
        raise click.UsageError(f"--format is {form!r}: expected one of {', '.join(known)}")
    if form == "parquet" and not output and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text: name a file with --output")
    if server:
        with client_of(server) as client:
            content = (
                written(client.table(identity, table), form) if form in MEDIA else client.text(identity, form).encode()
            )
    else:
        with jobs_in_use() as jobs:
            job = jobs.get(identity)
            if form in MEDIA:
                content = written(read_page(job, table, limit=None).rows, form)
            elif form in job.kind.forms:
                content = special(job, form)[1]
            else:
                raise LookupError(f"jobs of {job.kind.name} have no form {form}: expected one of {', '.join(MEDIA)}")
    if output:
        with refusals():
            output.write_bytes(content)
        click.echo(str(output))
        return
    click.echo(content, nl=form == "json")


@click.command()
@click.argument("identity", metavar="ID")
@format_option
@server_option
def cancel(identity: str, output: str, server: str | None) -> None:
    """Cancel the job ID. Work that has begun ends at its next step."""
    from opengenome_assets.service.jobs.job import EndedError

    if server:
        with client_of(server) as client:
            current = client.cancel(identity)
    else:
        with jobs_in_use() as jobs:
            job = jobs.get(identity)
            try:
                jobs.cancel(job)
            except EndedError as error:
                raise click.ClickException(str(error)) from error
            current = jobs.status(job)
    _tell(current, output)


def _status(jobs: Jobs | Client, identity: str) -> Status:
    from opengenome_assets.service.jobs.store import Jobs

    return jobs.status(jobs.get(identity)) if isinstance(jobs, Jobs) else jobs.status(identity)


def _all(jobs: Jobs | Client) -> list[Status]:
    from opengenome_assets.service.jobs.store import Jobs

    if isinstance(jobs, Jobs):
        return [jobs.status(job) for job in jobs.all()]
    return [each for kind in jobs.kinds for each in jobs.jobs(kind)]


def _followed(jobs: Jobs | Client, identity: str, output: str) -> Status:
    before = ""
    while (current := _status(jobs, identity)).state in ("waiting", "running"):
        if output == "text" and (line := _state(current)) != before:
            click.echo(line)
            before = line
        time.sleep(POLL_SECONDS)
    return current


def _state(current: Status) -> str:
    if current.state == "waiting":
        tried = f", attempt {current.attempts} ended: {current.error}" if current.error else ""
        return f"waiting, place {current.place}{tried}"
    if current.state == "running":
        left = f", about {current.seconds_left:,.0f} s left" if current.seconds_left is not None else ""
        return f"running, {current.parts_done} of {current.parts_wanted} parts{left}"
    return current.state


def _tell(current: Status, output: str, is_new: bool | None = None) -> None:
    if output == "json":
        click.echo(json.dumps(current.model_dump(mode="json"), indent=2))
        return
    again = " (sent before)" if is_new is False else ""
    lines = [("job", f"{current.id[:SHORT]}{again}"), ("state", _state(current))]
    lines.append(("size", plural(current.units, current.unit)))
    if current.error and current.state != "waiting":
        lines.append(("error", current.error))
    lines += [("note", note) for note in current.notes]
    lines += [("table", f"{each.name}, {plural(each.rows, 'row')}") for each in current.tables]
    click.echo("\n".join(aligned(lines)))
    if current.state == "waiting" and is_new is not None:
        worker = "The cluster's daemon" if in_cluster() else f"`{next_step('ui')}`"
        click.echo(folded(f"{worker} works on jobs that wait; `opengenome submit --wait` does it here."))
    if current.state == "done":
        click.echo(f"Results: opengenome results {current.id[:SHORT]}")
