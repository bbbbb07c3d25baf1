"""Damage to every file of a home, one at a time: its readers get right rows, or an error that names what is damaged.

Tables are read at every version. Files beside tables are read by the commands that show, remove or make again what they
hold: these end with their answer, or with an error in words and no traceback, and the rows of all tables stay.
``make test`` damages files drawn from a seed, ``make adversary`` all of them.
"""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.framework.figures import load_figure
from opengenome_assets.storage.files import DamagedError
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.adversary.damages import damages
from opengenome_assets_tests.twice import Twice

ERRORS = (DamagedError, MissingVersionError, MissingTableError)
COMMANDS = {
    "dagster": (("runs",), ("failures",), ("info",), ("prune", "--keep", "1", "--yes")),
    "pins": (("prune", "--keep", "1", "--yes"),),
    "figures": (("info",), ("runs",)),
    "reports": (("info",), ("lineage", "corpus_report")),
    "raw": (("info",),),
    ".lock": (("info",), ("prune", "--keep", "1", "--yes")),
}
Rows = dict[tuple[str, int | None], object]


def rows_of(home: Home, name: str) -> Rows:
    """The rows of each version of a table."""
    table = home.table(name)
    versions = [*table.history().versions, None]
    return {(name, version): table.at(version).read().to_pylist() for version in versions}


def read_damaged(home: Home, name: str, expected: Rows) -> Counter[str]:
    """Read every version of a table; count the outcomes, none of which may be other rows."""
    found: Counter[str] = Counter()
    for (table, version), rows in expected.items():
        if table != name:
            continue
        try:
            got = home.table(name).at(version).read().to_pylist()
        except ERRORS as error:
            if name not in str(error):
                raise AssertionError(f"the table is not named: {error}") from error
            found["errors"] += 1
        else:
            assert got == rows, f"version {version} of {name} has other rows"
            found["right"] += 1
    return found


def use_damaged(home: Home, place: str, expected: Rows) -> Counter[str]:
    """Type the commands that read a folder of the home; afterwards all rows are there."""
    found: Counter[str] = Counter()
    for command in COMMANDS[place]:
        result = CliRunner().invoke(main, command)
        said = f"{command}: {result.output[-2000:]}"
        assert result.exception is None or isinstance(result.exception, SystemExit), f"{said} {result.exception!r}"
        assert "Traceback" not in result.output, said
        if result.exit_code and "No run was started" not in said:  # the records are gone, or empty
            assert home.uri in result.output, said
        found["errors" if result.exit_code else "right"] += 1
    for name in home.names():
        table = home.table(name)
        for (of, version), rows in expected.items():
            if of == name and version is not None:
                assert table.at(version).read().to_pylist() == rows, f"version {version} of {name}"
    return found


def damage_everything(twice: Twice, tmp_path: Path, flips: int, share: float) -> Counter[str]:
    """Damage a share of the damages to each file of a home; count them and their outcomes."""
    home, chance, found, wrong = twice.home, random.Random(14), Counter[str](), list[str]()
    for run in twice.runs:
        assert CliRunner().invoke(main, ("pin", run)).exit_code == 0
    expected: Rows = {key: rows for name in home.names() for key, rows in rows_of(home, name).items()}
    figures = {name: load_figure(home, name) for name in ("figure_lengths", "figure_rscu")}
    whole = Path(shutil.copytree(home.uri, tmp_path / "whole"))
    for original in sorted(path for path in whole.rglob("*") if path.is_file()):
        relative = original.relative_to(whole)
        place = relative.parts[0]
        for damage, content in damages(original, flips, chance):
            if chance.random() >= share:
                continue
            path = Path(home.uri) / relative
            path.unlink()
            if content is not None:
                path.write_bytes(content)
            try:
                if place == "tables":
                    outcome = read_damaged(home, relative.parts[1], expected)
                else:
                    outcome = use_damaged(home, place, expected)
                if place == "figures":
                    for name, figure in figures.items():
                        assert load_figure(home, name) in (None, figure), name
            except AssertionError as error:
                wrong.append(f"{relative}, {damage}: {error}")
                outcome = Counter(wrong=1)
            found.update({"damages": 1, f"damages in {place}": 1, **outcome})
            if place == "tables":
                path.write_bytes(original.read_bytes())
            else:  # commands write there too
                for each in Path(home.uri).iterdir():
                    if each.name not in ("tables", ".lock"):
                        shutil.rmtree(each)
                        shutil.copytree(whole / each.name, each)
    assert not wrong, "\n".join(wrong)
    return found


@pytest.mark.slow
def test_no_damage_to_a_file_of_a_home_gives_other_rows(twice: Twice, tmp_path: Path) -> None:
    found = damage_everything(twice, tmp_path, 1, 0.04)
    assert found["errors"]
    assert found["right"]


@pytest.mark.adversary
@pytest.mark.timeout(7200)
def test_no_damage_to_any_file_of_a_home_gives_other_rows(twice: Twice, tmp_path: Path) -> None:
    found = damage_everything(twice, tmp_path, 3, 1.0)
    print(dict(found))
    assert found["damages"] > 1000
