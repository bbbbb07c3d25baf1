"""The form of hits: a file for other programs, or lines for a terminal or a pipe.

Belongs here: writing rows, and the facts about all of them, such as the version of the searched table. Does not belong
here: searching, and reading queries (``commands.py``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq

from opengenome_assets.terminal import folded

METADATA = b"opengenome"  # entry of a Parquet file's schema metadata


@dataclass(frozen=True)
class HitTable:
    """Hits in rows, and the facts of the search.

    Attributes
    ----------
    rows
        One row per hit, best first.
    facts
        Facts about all rows: the table and its version, the options, totals.
    """

    rows: pa.Table
    facts: Mapping[str, Any]

    def to_json(self) -> str:
        """Return facts and rows as one JSON object."""
        return json.dumps({**self.facts, "hits": self.rows.to_pylist()}, indent=2)

    def to_tsv(self) -> str:
        """Return the facts as comment lines, ``# name: value`` in JSON, and the rows below a header."""
        lines = [f"# {name}: {json.dumps(value)}" for name, value in self.facts.items()]
        lines.append("\t".join(self.rows.column_names))
        lines += ["\t".join(_cell(value) for value in row.values()) for row in self.rows.to_pylist()]
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write a file in the form that its ending names; the write is atomic."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            FORMS[path.suffix.lower()](self, unfinished)
            unfinished.replace(path)
        except OSError as error:
            raise click.ClickException(
                f"{path} cannot be written: {error.strerror or error}. Name a file in a folder that you may write to"
            ) from error
        finally:
            with suppress(OSError):  # the folder may be read-only
                unfinished.unlink()


def _write_parquet(table: HitTable, path: Path) -> None:
    pq.write_table(table.rows.replace_schema_metadata({METADATA: json.dumps(table.facts)}), path)


FORMS: Mapping[str, Callable[[HitTable, Path], Any]] = {
    ".parquet": _write_parquet,
    ".tsv": lambda table, path: path.write_text(table.to_tsv() + "\n"),
    ".json": lambda table, path: path.write_text(table.to_json() + "\n"),
}


def _cell(value: Any) -> str:
    """Write a value in a cell of a TSV file, which holds neither tabs nor line ends."""
    if isinstance(value, list):
        return ",".join(f"{place['start']}{place['strand']}" for place in value)
    return " ".join(str(value).split("\t"))


def _check_ending(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> Path | None:
    if path and path.suffix.lower() not in FORMS:
        raise click.BadParameter(f"{path}: expected a name ending in {', '.join(FORMS)}")
    if path and not path.parent.is_dir():
        raise click.BadParameter(f"{path}: there is no folder {path.parent}")
    return path


output_option: Callable[[Any], Any] = click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_check_ending,
    help=f"Write the hits to a file, in the form that its ending names: {', '.join(FORMS)}.",
)


def check_form(form: str, output: Path | None) -> None:
    """Refuse a form for printing if a file is written."""
    if output and form != "text":
        raise click.UsageError(f"--format is the form of hits that are printed; that of {output} is in its name")


form_option: Callable[[Any], Any] = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "tsv"]),
    default="text",
    show_default=True,
    help="Form of the result on the terminal.",
)


def tell(table: HitTable, form: str, output: Path | None, text: Sequence[str], summary: str) -> None:
    """Write hits to a file or, if none is named, print them.

    Parameters
    ----------
    table
        The hits.
    form
        ``text``, ``json`` or ``tsv``, for printing.
    output
        The file, if the user named one.
    text
        The hits as lines for people.
    summary
        The result in one sentence.
    """
    if output:
        table.write(output)
        click.echo(folded(f"{summary} Written to {output}."))
    elif form == "text":
        click.echo("\n".join([*text, folded(summary)]))
    else:
        click.echo(table.to_json() if form == "json" else table.to_tsv())
