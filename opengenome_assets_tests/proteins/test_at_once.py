"""Two runs at once in one home: each ends right, and the tables of each fit together."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from opengenome_assets.proteins.catalogue import SHIPPED
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets.proteins.tables import ALIGNMENTS, MUTATION_CALLS, SUBSTITUTIONS, WILD_TYPES
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import started, typed
from opengenome_assets_tests.proteins.runs import Run, folder

pytestmark = pytest.mark.slow

CHOSEN = "*mutation_calls"
NAMES = [spec.name for spec in (WILD_TYPES, ALIGNMENTS, SUBSTITUTIONS, MUTATION_CALLS)]


def test_two_runs_at_once_give_the_rows_of_one_after_the_other(tmp_path: Path) -> None:
    """One has the shipped catalogue, the other a catalogue with half of its entries."""
    source = tmp_path / "in"
    source.mkdir()
    shutil.copy(SAMPLE_FOLDER / "escherichia-prot_proteins.fasta", source)
    (source / "samples.tsv").write_text("accession\torganism\nescherichia-prot\tEscherichia coli\n")
    header, *entries = (SHIPPED / "mutations.tsv").read_text().splitlines(keepends=True)
    files = {"m.tsv": "".join([header, *entries[::2]]), "r.fasta": (SHIPPED / "references.fasta").read_text()}
    own = folder(tmp_path / "catalogue", files)
    catalogues = ["shipped", f"{own}/m.tsv,{own}/r.fasta"]
    home = tmp_path / "home"
    # Dagster's database is there: two processes that make it at once, in a new home, get in each other's way.
    typed("opengenome failures || true", home)
    command = ["dagster", "asset", "materialize", "-m", "opengenome_assets.definitions", "--select", CHOSEN]
    with ExitStack() as both:
        runs = [
            both.enter_context(started(command, home, OPENGENOME_PROTEINS=str(source), OPENGENOME_CATALOGUE=catalogue))
            for catalogue in catalogues
        ]
        printed = Path(f"{home}.log")
        assert [run.wait(250) for run in runs] == [0, 0], printed.read_text()
    assert printed.read_text().count("is in use: waiting for run") == 1
    expected = []
    for number, catalogue in enumerate(catalogues):
        alone = Run(Home(str(tmp_path / f"alone{number}")), {"source": str(source), "catalogue": catalogue})
        alone.materialize(CHOSEN, checks=False)
        expected.append({name: alone.rows(name) for name in NAMES})
    assert expected[0] != expected[1]
    tables = Home(str(home))
    found = [
        {name: sorted(tables.table(name).at(version).read().to_pylist(), key=repr) for name in NAMES}
        for version in (0, 1)
    ]
    assert found in (expected, expected[::-1])
