"""Damage: whatever happens to a file of a table, its readers get right rows or an error that names it.

One file at a time is replaced by a sibling, cut, emptied, flipped in a bit, or deleted; then every version is read. The
table has parts of their own, packs, three versions with rows and one that only rearranges files. With the mark
``adversary`` many more bits are flipped (``make adversary``).
"""

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets.storage.files import DamagedError
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.adversary.damages import damages
from opengenome_assets_tests.shared import once
from opengenome_assets_tests.storage.numbers import NAME, commit, compact, held

ERRORS = (DamagedError, MissingVersionError, MissingTableError)
ROWS = {0: held(0, 1), 1: held(0, 1, 2), 2: held(0, 1, 2), 3: held(0, 2, 3), None: held(0, 2, 3)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Home:
    def make(folder: Path) -> Home:
        home = Home(str(folder / "home"))
        commit(home, [0, 1])
        commit(home, [0, 1, 2])
        compact(home)
        commit(home, [0, 2, 3])
        return home

    return once(tmp_path_factory, "damage", make)


def outcome(home: Home, version: int | None) -> str:
    """Read a version: return 'right', the error's name, or the wrong rows."""
    try:
        rows: list[dict[str, Any]] = home.table(NAME).at(version).read().to_pylist()
    except ERRORS as error:
        return type(error).__name__ if NAME in str(error) else f"wrong: the table is not named: {error}"
    return "right" if rows == ROWS[version] else f"wrong: {rows}"


def damage_everything(whole: Home, tmp_path: Path, flips: int) -> Counter[str]:
    home, chance = Home(str(tmp_path / "home")), random.Random(14)
    shutil.copytree(whole.uri, home.uri)
    found: Counter[str] = Counter()
    for path in sorted(path for path in Path(home.uri).rglob("*") if path.is_file()):
        content = path.read_bytes()
        for damage, changed in damages(path, flips, chance):
            path.unlink()
            if changed is not None:
                path.write_bytes(changed)
            for version in ROWS:
                said = outcome(home, version)
                assert not said.startswith("wrong"), f"{path.relative_to(home.uri)} {damage}, version {version}: {said}"
                found[said] += 1
            found["damages"] += 1
        path.write_bytes(content)
    assert outcome(home, None) == "right"
    return found


@pytest.mark.slow
def test_no_damage_gives_other_rows(whole: Home, tmp_path: Path) -> None:
    found = damage_everything(whole, tmp_path, 6)
    assert found["damages"] > 200
    assert found["DamagedTableError"] > 100
    assert found["DamagedFileError"] > 100


@pytest.mark.adversary
@pytest.mark.timeout(3600)
def test_no_flipped_bit_gives_other_rows(whole: Home, tmp_path: Path) -> None:
    found = damage_everything(whole, tmp_path, 150)
    print(dict(found))
    assert found["damages"] > 3000


def test_an_entry_of_the_log_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    home = Home(str(tmp_path))
    commit(home, [0, 1])
    commit(home, [0, 2])
    first, second = sorted(Path(home.table(NAME).uri, "_delta_log").glob("*.json"))
    content = second.read_bytes()
    second.write_bytes(first.read_bytes())
    with pytest.raises(DamagedError, match="are those of entry 0"):
        home.table(NAME).at(1).read()
    second.write_bytes(content)
    assert home.table(NAME).at(1).read().to_pylist() == held(0, 2)
