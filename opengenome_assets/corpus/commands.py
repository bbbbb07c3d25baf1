"""The command of the corpus: ``source``.

Belongs here: arguments, wording and exit codes. Does not belong here: listing files (``intake``), and planning a
transfer (``operations/dry_run.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from opengenome_assets.corpus.settings import SAMPLE_FOLDER, CorpusSettings
from opengenome_assets.settings import read_home
from opengenome_assets.terminal import aligned, format_option, in_bytes, section, setting_errors


@click.command()
@click.argument("specification", required=False)
@format_option
def source(specification: str | None, output: str) -> None:
    """List the files that SPECIFICATION names and those that would be fetched. Changes nothing.

    SPECIFICATION is as in OPENGENOME_SOURCE, which is its default, else the source that the home remembers. Exits with
    status 1 if a run could not get the files.
    """
    with setting_errors():
        home, default = read_home(), CorpusSettings.from_environment().source
    from opengenome_assets.corpus.sources import source_of
    from opengenome_assets.intake.hub.request import RemoteError
    from opengenome_assets.intake.sources import SourceError
    from opengenome_assets.operations.dry_run import preview
    from opengenome_assets.storage.tables import Home

    try:
        plan = preview(source_of(Home(home), specification or default), home, sample=SAMPLE_FOLDER)
    except (SourceError, RemoteError) as error:
        raise click.ClickException(str(error)) from error
    if output == "json":
        click.echo(json.dumps(asdict(plan), indent=2))
    else:
        rows = [(each.source, each.path, in_bytes(each.bytes), each.sha256 or "", each.state) for each in plan.files]
        section(plan.source, aligned([("source", "path", "size", "SHA-256", "state"), *rows], right=(2,)))
        if plan.left_out:
            section("Left out, no FASTA ending", plan.left_out)
        sums = [("files", f"{len(plan.files):,}, {in_bytes(plan.bytes)}")]
        if plan.bytes_free is not None:
            sums += [
                ("commit", ", ".join(plan.commits)),
                ("to fetch", in_bytes(plan.bytes_to_fetch)),
                ("free", f"{in_bytes(plan.bytes_free)} for {plan.store}"),
            ]
        section("Together", aligned(sums))
    if not plan.fits:
        raise click.ClickException(
            f"{plan.bytes_to_fetch:,} bytes are to be fetched to {plan.store}, whose disk has {plan.bytes_free:,} "
            "free. Free some, choose fewer files, or set OPENGENOME_HOME to a larger disk"
        )
