"""The commands of the proteins: ``show``, ``export`` and ``diff``.

Belongs here: arguments, wording and exit codes. Does not belong here: the forms (``exports.py``), and what became of
calls (``differences.py``).
"""

import json
from dataclasses import asdict
from pathlib import Path

import click

from opengenome_assets.settings import read_home
from opengenome_assets.terminal import aligned, format_option, refusals, setting_errors

_FORMS = ("hamronization-tsv", "hamronization-json", "subscan", "manifests", "alignments")


@click.group()
def proteins() -> None:
    """Mutations of proteins: alignments as text, files for other programs, and what changed."""


@proteins.command()
@click.argument("accession")
@click.argument("gene")
def show(accession: str, gene: str) -> None:
    """Print the alignments of ACCESSION's proteins or DNA to the wild type of GENE, with calls, status and changes."""
    from opengenome_assets.proteins.catalogue import DNA
    from opengenome_assets.proteins.exports import alignments_of, copies_of
    from opengenome_assets.proteins.tables import ACCESSIONS, MUTATION_STATUS
    from opengenome_assets.storage.tables import Home

    with setting_errors():
        home = Home(read_home())
    with refusals():
        rows = home.table(MUTATION_STATUS).read().to_pylist()
        known = home.table(ACCESSIONS).read(["accession"])["accession"].to_pylist()
        if accession not in known:
            raise LookupError(f"{home.uri} has no accession {accession!r}. It has: {', '.join(known[:10])}")
        own = [row for row in rows if row["accession"] == accession]
        status = [row for row in own if row["gene"].lower() in (gene.lower(), "")]
        texts = [*alignments_of(home, accession, gene), *copies_of(home, accession, gene)]
        if not status and not texts:
            genes = ", ".join(row["gene"] for row in own)
            raise LookupError(f"the catalogue knows no gene {gene!r} of {own[0]['organism']}. It knows: {genes}")
        for row in status:
            where = "in DNA, " if row["molecule"] == DNA else ""
            click.echo(f"{where}{row['outcome'].replace('_', ' ')}: {row['reason']}\n")
        click.echo("\n".join(texts).rstrip())


@proteins.command()
@click.argument("form", type=click.Choice(_FORMS))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def export(form: str, folder: Path) -> None:
    """Write the newest tables in a FORM into FOLDER. Files of the same name are replaced."""
    from opengenome_assets.proteins.exports import FORMS
    from opengenome_assets.storage.tables import Home

    with setting_errors():
        home = Home(read_home())
    with refusals():
        files = FORMS[form](home)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / name.replace("/", "_")
            path.write_text(content)
            click.echo(str(path))


@proteins.command()
@click.argument("before", type=int)
@click.argument("after", type=int)
@format_option
def diff(before: int, after: int, output: str) -> None:
    """Say which calls version AFTER of mutation_calls has gained, lost, renamed or releveled since BEFORE, and why."""
    from opengenome_assets.proteins.differences import call_changes
    from opengenome_assets.storage.tables import Home

    with setting_errors():
        home = Home(read_home())
    with refusals():
        changes = call_changes(home, before, after)
    if output == "json":
        click.echo(json.dumps([asdict(each) for each in changes], indent=2))
        return
    rows = [
        (each.change, each.accession, each.protein_id, " → ".join(filter(None, (each.before, each.after))), each.reason)
        for each in changes
    ]
    click.echo(
        "\n".join(aligned([("change", "accession", "protein", "call", "why"), *rows])) if rows else "no call differs"
    )
