"""Two runs at once in one home: each ends right, and the tables of each fit together."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opengenome_assets.proteins.catalogue import SHIPPED
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets.proteins.tables import ALIGNMENTS, MUTATION_CALLS, SUBSTITUTIONS, WILD_TYPES
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.processes import REPOSITORY, environment, typed
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
    runs = [
        subprocess.Popen(
            [str(Path(sys.executable).with_name(command[0])), *command[1:]],
            cwd=REPOSITORY,
            env=environment(home, OPENGENOME_PROTEINS=str(source), OPENGENOME_CATALOGUE=catalogue),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for catalogue in catalogues
    ]
    printed = [run.communicate(timeout=500)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], printed
    assert sum("is in use: waiting for run" in each for each in printed) == 1
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
