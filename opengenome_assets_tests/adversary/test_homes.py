"""Damage to every file of a home, one at a time: its readers get right rows, or an error that names what is damaged.

Tables are read at every version, and searched. Files for tools, such as CRAM files and the aligner's index, are used to
make the tables that come from them again; after an error its advice is followed, which has to help. Other files are
read by the commands that show, remove or make again what they hold: these end with their answer, or with an error in
words and no traceback, and the rows of all tables stay. ``make test`` damages files drawn from a seed, ``make
adversary`` all of them.
"""

import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX
from opengenome_assets.framework.figures import load_figure
from opengenome_assets.search import Query, SearchIndex
from opengenome_assets.search.ranking import Hit
from opengenome_assets.settings import Settings
from opengenome_assets.storage.files import DamagedError
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.tables import ALIGNMENTS, REFERENCE
from opengenome_assets.variants.variant_files import files_read_back
from opengenome_assets_tests.adversary.damages import damages
from opengenome_assets_tests.adversary.everything import Inputs, materialize
from opengenome_assets_tests.adversary.kills import stamps
from opengenome_assets_tests.corpora import failure
from opengenome_assets_tests.twice import Twice, use

Hits = list[Hit]
ERRORS = (DamagedError, MissingVersionError, MissingTableError)
COMMANDS = {
    "dagster": (("runs",), ("failures",), ("info",), ("prune", "--keep", "1", "--yes")),
    "pins": (("prune", "--keep", "1", "--yes"),),
    "figures": (("info",), ("runs",)),
    "reports": (("info",), ("lineage", "corpus_report")),
    "raw": (("info",),),
    ".lock": (("info",), ("prune", "--keep", "1", "--yes")),
}
# The tables made from the files for tools in a folder of the home.
CALLED = ("read_depth", "genotypes", "variants_raw")
REMADE = {
    "references": ("read_alignments", *CALLED, "clinvar", "gnomad", "consequences"),
    "alignments": CALLED,
}
QUERIES = [Query("a", b"ACGTTGCA" * 4), Query("b", b"GGGTTTACGTCGTAGCTAG")]
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


def use_damaged(home: Home, commands: Iterable[Sequence[str]], expected: Rows) -> Counter[str]:
    """Type commands that read a folder of the home; afterwards all rows are there."""
    found: Counter[str] = Counter()
    before = stamps(Path(home.uri, "tables"))
    for command in commands:
        result = CliRunner().invoke(main, command)
        said = f"{command}: {result.output[-2000:]}"
        assert result.exception is None or isinstance(result.exception, SystemExit), f"{said} {result.exception!r}"
        assert "Traceback" not in result.output, said
        if result.exit_code and "No run was started" not in said:  # the records are gone, or empty
            assert home.uri in result.output, said
        found["errors" if result.exit_code else "right"] += 1
    if stamps(Path(home.uri, "tables")) == before:  # not written to, so not read again
        return found
    for name in home.names():
        table = home.table(name)
        for (of, version), rows in expected.items():
            if of == name and version is not None:
                assert table.at(version).read().to_pylist() == rows, f"version {version} of {name}"
    return found


def search_damaged(home: Home, expected: Mapping[int, list[Hits]]) -> Counter[str]:
    """Search every version of the index; count the outcomes, none of which may be other hits."""
    found: Counter[str] = Counter()
    for version, hits in expected.items():
        try:
            got = search(home, version)
        except ERRORS as error:
            if not any(spec.name in str(error) for spec in (TFIDF_INDEX, SEQUENCE_SHARDS)):  # it opens both
                raise AssertionError(f"the table is not named: {error}") from error
            found["errors"] += 1
        else:
            assert got == hits, f"a search in version {version} has other hits"
            found["right"] += 1
    return found


def search(home: Home, version: int) -> list[Hits]:
    """The hits of some queries."""
    return SearchIndex.open(home.uri, version=version).similar(QUERIES)


def make_damaged(home: Home, settings: Settings, place: str, folder: Path) -> Counter[str]:
    """Make the tables that come from the damaged file, in a copy without them; then do what the error says."""
    remade = REMADE[place]
    expected = {name: home.table(name).read().to_pylist() for name in remade}
    hidden = [*remade, *(["alignments"] if "read_alignments" in remade else [])]
    copy = folder / "copy"
    shutil.copytree(home.uri, copy, ignore=lambda at, _: hidden if at.endswith(("/tables", home.uri)) else ())
    there = settings.model_copy(update={"home": str(copy)})
    result = materialize(there, ",".join(remade), may_fail=True)
    made = Home(str(copy))
    for name in remade:
        if made.table(name).exists():
            rows = made.table(name).read().to_pylist()
            assert rows == expected[name] or not result.success, f"{name} has other rows"
            assert all(row in expected[name] for row in rows), f"{name} has rows that are wrong"
    if not result.success:
        words = failure(result)
        advice = re.search(
            r"(reference_contigs|read_alignments): .*Remove the folder (\S+) and materialise (\1) again", words
        )
        assert advice, words
        shutil.rmtree(advice[2])
        materialize(there, ",".join({advice[3], *remade}))
        assert {name: made.table(name).read().to_pylist() for name in remade} == expected
    shutil.rmtree(copy)
    return Counter(errors=int(not result.success), right=int(result.success))


def damage_everything(
    home: Home, outcome_of: Callable[[Path], Counter[str]], folder: Path, flips: int, share: float
) -> Counter[str]:
    """Damage a share of the damages to each file of a home; count them and their outcomes."""
    chance, found, wrong = random.Random(14), Counter[str](), list[str]()
    whole = Path(shutil.copytree(home.uri, folder / "whole"))
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
                outcome = outcome_of(relative)
            except AssertionError as error:
                wrong.append(f"{relative}, {damage}: {error}")
                outcome = Counter(wrong=1)
            found.update({"damages": 1, f"damages in {place}": 1, **outcome})
            if place in COMMANDS:  # they write there too
                for name in COMMANDS.keys() - {".lock"}:
                    shutil.rmtree(Path(home.uri, name), ignore_errors=True)
                    if (whole / name).exists():
                        shutil.copytree(whole / name, Path(home.uri, name))
            else:
                path.write_bytes(original.read_bytes())
    assert not wrong, "\n".join(wrong)
    return found


def damage_corpus(twice: Twice, tmp_path: Path, flips: int, share: float) -> Counter[str]:
    """Damage a home of corpus and search, with pins and Dagster's records."""
    home = twice.home
    for run in twice.runs:
        assert CliRunner().invoke(main, ("pin", run)).exit_code == 0
    expected: Rows = {key: rows for name in home.names() for key, rows in rows_of(home, name).items()}
    figures = {name: load_figure(home, name) for name in ("figure_lengths", "figure_rscu")}
    hits = {version: search(home, version) for version in home.table(TFIDF_INDEX).history().versions}
    assert all(each for found in hits.values() for each in found)

    def outcome(relative: Path) -> Counter[str]:
        if relative.parts[0] == "tables":
            found = read_damaged(home, relative.parts[1], expected)
        else:
            found = use_damaged(home, COMMANDS[relative.parts[0]], expected)
            for name, figure in figures.items():
                assert load_figure(home, name) in (None, figure), name
        return found + search_damaged(home, hits)

    return damage_everything(home, outcome, tmp_path, flips, share)


def damage_others(made: tuple[Home, Settings], tmp_path: Path, flips: int, share: float) -> Counter[str]:
    """Damage a home of proteins and variants, with files for tools beside the tables."""
    home, settings = made
    expected: Rows = {key: rows for name in home.names() for key, rows in rows_of(home, name).items()}
    current = {
        *home.table(REFERENCE).read()["folder"].to_pylist(),
        *(path.rpartition("/")[0] for path in home.table(ALIGNMENTS).read()["path"].to_pylist()),
    }

    def outcome(relative: Path) -> Counter[str]:
        place = relative.parts[0]
        if place == "tables":
            return read_damaged(home, relative.parts[1], expected)
        if place in REMADE:
            return make_damaged(home, settings, place, tmp_path) if str(relative.parent) in current else Counter()
        if place == "variants":
            for problem in files_read_back.problems(home):
                assert home.uri in problem or "is only in" in problem, problem
            return Counter(right=1)
        return use_damaged(home, [("info",)], expected)  # nothing is pinned, so nothing is pruned

    return damage_everything(home, outcome, tmp_path, flips, share)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Settings]:
    """Proteins and variants, made on both days."""
    folder = tmp_path_factory.mktemp("others")
    for day in (1, 2):
        inputs = Inputs(folder / str(day), day)
        inputs.write()
        settings = inputs.settings(folder / "home")
        materialize(settings, "group:proteins,group:variants")
    return Home(str(folder / "home")), settings


@pytest.mark.slow
def test_no_damage_to_a_file_of_a_home_gives_other_rows(twice: Twice, tmp_path: Path) -> None:
    found = damage_corpus(twice, tmp_path, 1, 0.02)
    assert found["errors"]
    assert found["right"]


@pytest.mark.slow
def test_no_damage_to_a_file_of_proteins_or_variants_gives_other_rows(
    others: tuple[Home, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, others[0].uri)
    found = damage_others(others, tmp_path, 1, 0.012)
    assert found["errors"]
    assert found["right"]


@pytest.mark.adversary
@pytest.mark.timeout(7200)
def test_no_damage_to_any_file_of_a_home_gives_other_rows(twice: Twice, tmp_path: Path) -> None:
    found = damage_corpus(twice, tmp_path, 3, 1.0)
    print(dict(found))
    assert found["damages"] > 1000


@pytest.mark.adversary
@pytest.mark.timeout(7200)
def test_no_damage_to_any_file_of_proteins_or_variants_gives_other_rows(
    others: tuple[Home, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, others[0].uri)
    found = damage_others(others, tmp_path, 3, 1.0)
    print(dict(found))
    assert found["damages"] > 1000
