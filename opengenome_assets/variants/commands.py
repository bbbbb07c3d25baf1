"""The commands of the group: ``variants status`` and ``variants trace``.

Belongs here: arguments, wording and exit codes. Does not belong here: which units are finished (``plans.py``), and the
chain of a call (``chain.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from opengenome_assets.settings import read_home
from opengenome_assets.terminal import aligned, format_option, refusals, section, setting_errors


@click.group()
def variants() -> None:
    """Reads to variants: how far samples are, and where a call comes from."""


@variants.command()
@click.argument("sample", required=False)
@format_option
def status(sample: str | None, output: str) -> None:
    """Show how far each sample is, or SAMPLE alone: finished units of each step, and the time left.

    The time left is an estimate from the finished units, for one worker. Exits with status 1 if there is no such
    sample.
    """
    with setting_errors():
        home = read_home()
    from opengenome_assets.storage.tables import Home
    from opengenome_assets.variants.progress import progress

    with refusals():
        steps = progress(Home(home), sample)
    if output == "json":
        click.echo(json.dumps([asdict(step) for step in steps], indent=2))
        return
    for name in dict.fromkeys(step.sample for step in steps):
        section(name, aligned([(step.label, step.words) for step in steps if step.sample == name]))


@variants.command()
@click.argument("key", metavar="CONTIG-POS-REF-ALT")
@click.option("--sample", help="The sample; default: every sample that has the variant.")
@format_option
def trace(key: str, sample: str | None, output: str) -> None:
    """Show the chain of a call: from its numbers to the CRAM file, the reference, the read files and the tools.

    The key is that of the tables, such as chrM-263-A-G. Exits with status 1 if no sample has the variant.
    """
    with setting_errors():
        home = read_home()
    from opengenome_assets.storage.tables import Home
    from opengenome_assets.variants.chain import chains

    with refusals():
        found = chains(Home(home), key, sample)
    if output == "json":
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        section(f"{key} in {each.sample}", aligned([("call", each.call), *each.links]))
