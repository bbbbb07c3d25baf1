"""Kinds of files: the intake takes another kind as well as FASTA, and its messages name that kind."""

import io
import tarfile
from pathlib import Path

import pytest

import opengenome_assets
from opengenome_assets.intake.containers import Unit, source_name
from opengenome_assets.intake.kinds import FASTA, FileKind
from opengenome_assets.intake.sources import SourceError, list_source
from opengenome_assets.intake.streams import StoredFile, StreamError

INTAKE = Path(opengenome_assets.__path__[0], "intake")
NOTES = FileKind("notes", (".txt",), b"#")


def test_only_files_of_the_kind_are_listed(tmp_path: Path) -> None:
    for name in ("a.txt", "b.TXT.gz", "c.fa", "d.txt.gz.aa"):
        (tmp_path / name).write_bytes(b"# a\n")
    assert [file.path for file in list_source(str(tmp_path), NOTES).files] == ["a.txt", "b.TXT.gz", "d.txt.gz.aa"]
    assert [file.path for file in list_source(str(tmp_path), FASTA).files] == ["c.fa"]
    assert source_name("x/a.txt.gz.aa", NOTES) == "a"


def test_lines_with_the_mark_of_the_kind_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"# a\n> b\n# c\n")
    for kind, count in ((NOTES, 2), (FASTA, 1)):
        with Unit("a.txt", [StoredFile("a.txt", str(tmp_path / "a.txt"))], kind) as unit:
            ((_, stream),) = [(path, stream) for path, stream in unit if stream.read()]
            assert stream.header_lines == count


def test_messages_name_the_kind(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no notes file found\. Looked for names ending in \.txt, plain or"):
        list_source(str(tmp_path), NOTES)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a.fa"), io.BytesIO())
    with (
        Unit("x.tar", [StoredFile("x.tar", str(tmp_path / "x.tar"))], NOTES) as unit,
        pytest.raises(
            StreamError, match=r"an archive of notes files \(\.txt, also compressed\), found 1 other files: a"
        ),
    ):
        list(unit)


@pytest.mark.parametrize("module", sorted(INTAKE.rglob("*.py")), ids=lambda module: str(module.relative_to(INTAKE)))
def test_no_other_module_of_the_intake_names_a_kind(module: Path) -> None:
    assert module.name == "kinds.py" or "FASTA" not in module.read_text()
