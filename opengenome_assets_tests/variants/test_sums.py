"""Sums: a changed file is refused by name, whatever changed, and an unchanged one is read once."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from opengenome_assets.storage.files import DamagedError
from opengenome_assets.variants import sums
from opengenome_assets.variants.sums import refuse_changed, write_sums
from opengenome_assets_tests.adversary.damages import damages

FILES = {"x.fa": b">c\nACGT\n", "x.fa.fai": b"c\t4\t3\t4\t5\n", "x.fa.0123": bytes(range(4)) * 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file, content in FILES.items():
            (tmp_path / name / file).write_bytes(content + name.encode())
        write_sums(tmp_path / name, list(FILES))
    return tmp_path / "one"


def test_every_damage_is_refused_by_file_with_what_helps(folder: Path) -> None:
    refuse_changed(folder, None, "reference")
    found = 0
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for damage, changed in damages(path, 20, random.Random(1)):
            if changed == content.rstrip() and path.name == sums.NAME:
                continue  # the end of the last line
            path.unlink()
            if changed is not None:
                path.write_bytes(changed)
            with pytest.raises(
                DamagedError, match=rf"^reference: {folder}/\S+ .*Remove the folder {folder} and"
            ) as error:
                refuse_changed(folder, list(FILES), "reference")
            assert path.name == sums.NAME or str(path) in str(error.value), damage
            found += 1
        path.write_bytes(content)
    assert found > 80
    refuse_changed(folder, None, "reference")


def test_files_that_are_not_read_are_not_compared(folder: Path) -> None:
    (folder / "x.fa.0123").write_bytes(b"")
    refuse_changed(folder, ["x.fa", "x.fa.fai"], "reference")
    with pytest.raises(DamagedError, match=r"x\.fa\.0123 was changed"):
        refuse_changed(folder, None, "reference")


def test_a_file_is_read_once_until_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_changed(folder, None, "reference")
    monkeypatch.setattr(sums, "_sha256", lambda path: pytest.fail(f"{path} is read again"))
    refuse_changed(folder, None, "reference")


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not installed")
def test_sha256sum_reads_the_sums(folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", sums.NAME], cwd=folder, check=True, capture_output=True)
    (folder / "x.fa").write_bytes(b"")
    done = subprocess.run(["sha256sum", "--check", sums.NAME], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "x.fa: FAILED" in done.stdout
