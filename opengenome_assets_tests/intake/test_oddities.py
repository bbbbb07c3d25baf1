"""Oddities: random FASTA in random containers, judged by a parser of a few lines that shares no code with the platform.

The seed is fixed, so that a case can be made again by its number. With the mark ``adversary`` 5,000 cases are tried.
"""

import bz2
import gzip
import io
import random
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from opengenome_assets.corpus.passes.parse import ParseSettings, ParseTask, parse_file
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.files import filesystem
from opengenome_assets.storage.parquet.file import open_parquet

SETTINGS = ParseSettings(0, False, None, "zstd", 7, 300)
LETTERS = set("ACGTRYSWKMBDHVN")
COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstd.compress}
Row = tuple[str, str]


def judge(text: bytes) -> tuple[list[Row], int] | None:
    """Return identifiers and letters of the good records, and the number of refused ones; None if it is no FASTA."""
    records: list[tuple[str, str]] = []
    for raw in text.split(b"\n"):
        line = raw.decode().rstrip(" \t\r")
        if line.startswith(">"):
            records.append((line[1:], ""))
        elif line:
            if not records:
                return None
            records[-1] = (records[-1][0], records[-1][1] + line.upper())
    good: list[Row] = []
    for header, letters in records:
        name = header.split()[0] if header.split() and not header[0].isspace() else ""
        if name and letters and set(letters) <= LETTERS and name not in dict(good):
            good.append((name, letters))
    return (good, len(records) - len(good)) if records else None


def a_text(chance: random.Random) -> bytes:
    """Return FASTA with blank lines, CRLF, lower case, repeated names, wrong letters, and records without letters."""
    lines = [] if chance.random() < 0.95 else ["ACGT"]
    for number in range(chance.choice([0, 1, 1, 2, 5, 30])):
        name = chance.choice(
            [f"r{number}", f"r{number} of many words", "twice", f"r{number}\twith a tab", "", f"é{number}"]
        )
        lines.append(f">{name}")
        for _ in range(chance.choice([0, 1, 1, 3])):
            lines.append("".join(chance.choices("ACGTacgtN", k=chance.choice([1, 3, 60, 200]))))
            if chance.random() < 0.08:
                lines[-1] += chance.choice(["*", "-", "X", "7", "R", "n", "U", "AC GT", ">A", ";"])
            if chance.random() < 0.1:
                lines[-1] += chance.choice([" ", "\t", "  \t"])
        lines += [""] * (chance.random() < 0.1)
    end = chance.choice(["\n", "\n", "\r\n"])
    text = end.join(lines) + end * chance.choice([0, 1, 1, 3])
    return text.encode()


def packed(text: bytes, ending: str, chance: random.Random) -> bytes:
    """Compress a text, also in several streams of which some are empty."""
    if not ending or chance.random() < 0.4:
        return COMPRESS[ending](text)
    cuts = sorted(chance.choices(range(len(text) + 1), k=chance.choice([1, 2, 5])))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return b"".join(map(COMPRESS[ending], pieces))


def archived(texts: list[bytes], chance: random.Random) -> bytes:
    stored = io.BytesIO()
    formats = chance.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    with tarfile.open(fileobj=stored, mode="w", format=formats) as archive:
        for number, text in enumerate(texts):
            ending = chance.choice(list(COMPRESS))
            content = packed(text, ending, chance)
            member = tarfile.TarInfo(f"m{number}/{'long' * chance.choice([0, 20])}x.fa{ending}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stored.getvalue()


def parsed(folder: Path, name: str, content: bytes, cuts: int, chance: random.Random) -> tuple[list[Row], int] | None:
    """Return the rows and the number of refused records that the platform gives; None if it refuses the file."""
    places = sorted(chance.choices(range(1, len(content)), k=cuts)) if cuts and len(content) > 9 else []
    pieces = [content[a:b] for a, b in zip([0, *places], [*places, len(content)], strict=True)]
    names = [f"{name}.a{chr(97 + n)}" for n in range(len(pieces))] if places else [name]
    files = []
    for path, piece in zip(names, pieces, strict=True):
        (folder / path).write_bytes(piece)
        files.append(StoredFile(path, str(folder / path), None))
    uri = f"{folder}/tables"
    result = parse_file(ParseTask("s", name, tuple(files), "key", "key", f"{uri}/s", f"{uri}/r", SETTINGS))
    if result.accepted is None or result.rejected is None:
        assert result.error
        assert name in result.error
        return None
    rows: list[Row] = []
    for file in result.accepted.files:
        with open_parquet(f"{uri}/s/{file.path}", file.content) as opened:
            read = opened.read(columns=["seq_id", "sequence"]).to_pylist()
            rows += [(row["seq_id"], row["sequence"]) for row in read]
    fs, root = filesystem(uri)
    fs.delete_dir(root)
    return rows, result.rejected.rows


def try_cases(folder: Path, numbers: range) -> None:
    for number in numbers:
        chance = random.Random(number)
        if chance.random() < 0.25:
            texts = [a_text(chance) for _ in range(chance.choice([1, 2, 4]))]
            name, content = "x.tar", archived(texts, chance)
        else:
            texts, ending = [a_text(chance)], chance.choice(list(COMPRESS))
            name, content = f"x.fa{ending}", packed(texts[0], ending, chance)
        cuts = chance.choice([0, 0, 1, 3]) if name.endswith((".gz", ".bz2", ".zst")) else 0
        judged = [judge(text) for text in texts]
        whole = [each for each in judged if each is not None]
        expected = ([row for rows, _ in whole for row in rows], sum(n for _, n in whole))
        found = parsed(folder, name, content, cuts, chance)
        assert found == (expected if len(whole) == len(judged) else None), f"case {number}: {name}, {texts}"


@pytest.mark.slow
def test_odd_files_give_the_rows_of_a_plain_parser(tmp_path: Path) -> None:
    try_cases(tmp_path, range(300))


@pytest.mark.adversary
@pytest.mark.timeout(3600)
def test_thousands_of_odd_files_give_the_rows_of_a_plain_parser(tmp_path: Path) -> None:
    try_cases(tmp_path, range(300, 5300))
