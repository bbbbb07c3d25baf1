"""The commands of the group: ``variants status`` and ``variants submit``.

Belongs here: arguments, wording and exit codes. Does not belong here: which units are finished (``plans.py``), and the
sheet (``submission.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from opengenome_assets.settings import read_home
from opengenome_assets.terminal import aligned, format_option, refusals, section, setting_errors
from opengenome_assets.variants.settings import SAMPLE, VariantsSettings


@click.group()
def variants() -> None:
    """Reads to variants: how far samples are, and one more of them."""


@variants.command()
@click.argument("sample", required=False)
@format_option
def status(sample: str | None, output: str) -> None:
    """Show how far each sample is, or SAMPLE alone: finished units of each step, and the time left.

    The time left is an estimate from the finished units, for one worker. Exits with status 1 if there is no such
    sample.
    """
    with setting_errors():
        home, settings = read_home(), VariantsSettings.from_environment()
    from opengenome_assets.storage.tables import Home
    from opengenome_assets.variants.progress import progress

    with refusals():
        steps = progress(Home(home), settings, sample)
    if output == "json":
        click.echo(json.dumps([asdict(step) for step in steps], indent=2))
        return
    for name in dict.fromkeys(step.sample for step in steps):
        section(name, aligned([(step.label, step.words) for step in steps if step.sample == name]))


@variants.command()
@click.option("--sample", required=True, help="The sample's name.")
@click.option("--fastq", nargs=2, metavar="R1 R2", help="Its reads: the files of mates 1 and 2.")
@click.option("--bam", metavar="FILE", help="Its reads in a BAM file, aligned to the reference or not.")
@click.option("--cram", metavar="FILE", help="Its reads in a CRAM file, aligned to the reference.")
@click.option("--lane", help="The lane. A sample that the sheet has needs a new one.  [default: 1]")
@click.option("--patient", help="The patient.  [default: the sample]")
@click.option("--sex", help="XX or XY, for the ploidy of X and Y.")
def submit(fastq: tuple[str, str] | None, **given: str | None) -> None:
    """Add a sample to the sheet of OPENGENOME_SAMPLES, or begin that sheet.

    The first reads are looked at. A sample that the sheet has, files that are not there, and mates that do not fit are
    refused, and the sheet stays as it is. The next run makes what the sample needs, and nothing else. For results of
    their own, beside the platform's tables, send samples with `opengenome submit sample`.
    """
    with setting_errors():
        settings = VariantsSettings.from_environment()
    if settings.samples == SAMPLE:
        raise click.ClickException(
            "OPENGENOME_SAMPLES is not set: expected the sheet to add to, a CSV file. It need not exist"
        )
    from opengenome_assets.variants.submission import submit
    from opengenome_assets.variants.tools import ToolError

    first, second = fastq or ("", "")
    named = {"fastq_1": first, "fastq_2": second, "bam": given.pop("bam"), "cram": given.pop("cram")}
    files = {name: _absolute(value) for name, value in named.items() if value}
    with refusals():
        sheet = Path(settings.samples).expanduser().absolute()
        try:
            lane = submit(sheet, {**{name: value for name, value in given.items() if value}, **files})
        except ToolError as error:
            raise click.ClickException(str(error)) from error
    click.echo(
        f"{sheet}, line {lane.line}: sample {lane.sample}, lane {lane.lane}. "
        "Make it with: opengenome run --select 'group:variants'"
    )


def _absolute(name: str) -> str:
    return name if "://" in name else str(Path(name).expanduser().absolute())
