"""Containers: parts against GNU split itself, archives of every kind against their members, and hostile ones."""

import bz2
import contextlib
import gzip
import hashlib
import io
import itertools
import random
import re
import subprocess
import tarfile
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opengenome_assets.intake import containers
from opengenome_assets.intake.containers import (
    ContainerError,
    Unit,
    is_archive_name,
    select,
    source_name,
    units,
)
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.streams import ChangedError, StoredFile, StreamError
from opengenome_assets.kernels.fasta import FastaError, read_records
from opengenome_assets_tests.examples import share

TEXT = b">a first\nACGTTTGACA\nCCGTA\n>b\nGGATCCNN\n"
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tgz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}


def store(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[StoredFile]:
    """Write files under names that tell nothing, as a store of the Hub's files does."""
    stored = []
    for path, content in files:
        sha256 = hashlib.sha256(content).hexdigest()
        (folder / sha256).write_bytes(content)
        stored.append(StoredFile(path, str(folder / sha256), sha256))
    return stored


def read_unit(path: str, files: list[StoredFile]) -> dict[str, bytes]:
    """Read a unit; its FASTA files by path, each letter by letter through the FASTA reader."""
    found: dict[str, bytes] = {}
    with Unit(path, files, FASTA) as unit:
        for name, stream in unit:
            found[name] = b"".join(batch.data.tobytes() for batch in read_records(stream.readinto, name=stream.name))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decompress")]
    return found


def cut(content: bytes, places: Iterable[int]) -> list[bytes]:
    return [content[start:stop] for start, stop in itertools.pairwise([0, *places, len(content)])]


def named(path: str, pieces: list[bytes]) -> list[tuple[str, bytes]]:
    return [(f"{path}.a{chr(ord('a') + i)}", piece) for i, piece in enumerate(pieces)]


def tar_of(members: Iterable[tuple[str, bytes] | tarfile.TarInfo], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(bytes(member.size)))
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def fails(folder: Path, path: str, content: bytes) -> str:
    with pytest.raises((StreamError, FastaError)) as caught:
        read_unit(path, store(folder, [(path, content)]))
    assert path in str(caught.value)
    return str(caught.value)


# Names and units


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a/b/chr1.v2.FASTA.GZ", "chr1.v2"),
        ("s3://bucket/x.fna.zst", "x"),
        ("x.gz", "x"),
        ("README.md", "README.md"),
        ("windows_5kb.fasta.gz.aa", "windows_5kb"),
        ("x.fa.zst.003", "x"),
        ("x.tar", "x"),
        ("x.v1.tar.gz", "x.v1"),
        ("x.TGZ", "x"),
        ("x.fa.tar.zst", "x"),
        ("x.tar.gz.zaaa", "x"),
        ("x.fa.aa", "x.fa.aa"),
    ],
)
def test_sources_are_named_without_endings(path: str, source: str) -> None:
    assert source_name(path, FASTA) == source


@pytest.mark.parametrize("path", ["x.tar", "x.tar.gz", "x.tgz", "x.tar.bz2", "x.tar.zst", "x.TAR.GZ", "a/x.tar.bgz"])
def test_names_of_archives(path: str) -> None:
    assert is_archive_name(path)
    assert select([path], FASTA) == ([path], [])
    assert not is_archive_name(f"{path}.md5")


@pytest.mark.parametrize(
    ("paths", "taken"),
    [
        (["x.fa.gz.aa", "x.fa.gz.ab"], True),
        (["x.fa.gz.00", "x.fa.gz.01"], True),
        (["x.fa.gz.aaa"], True),
        (["x.tar.aa", "x.tar.ab"], True),
        (["x.tgz.ab"], True),
        (["x.fa.gz.ac", "x.fa.gz.zz"], True),
        (["x.fa.gz.07"], True),
        (["x.fa.aa", "x.fa.ab"], False),
        (["x.aa", "x.gz.ab"], False),
        (["x.fa.gz.fai", "x.fa.gz.gzi"], False),
        (["x.fa.gz.amb", "x.fa.gz.ann", "x.fa.gz.bwt", "x.fa.gz.pac", "x.fa.gz.sa"], False),
        (["x.fa.gz.part", "x.fa.gz.tmp", "x.fa.gz.1", "x.fa.gz.md5", "x.fa.gz.AA", "x.tar.xz", "x.fa.gz.gz"], False),
        (["x.fa.gz.2024"], False),
    ],
)
def test_parts_are_told_from_what_lies_beside_a_file(paths: list[str], taken: bool) -> None:
    assert select(paths, FASTA) == ((paths, []) if taken else ([], paths))


def test_an_index_beside_its_file_is_no_part() -> None:
    beside = ["x.fa.gz.ab", "x.fa.gz.sa", "x.fa.gz.fai"]
    assert select(["x.fa.gz", *beside], FASTA) == (["x.fa.gz"], beside)
    assert units(["x.fa.gz", *beside], FASTA) == {path: (path,) for path in ["x.fa.gz", *beside]}


@pytest.mark.parametrize(
    ("options", "pieces"),
    [([], 3), ([], 700), (["-d"], 12), (["-d"], 120), (["-a", "3"], 30), (["-d", "-a", "3"], 101), (["-a", "2"], 676)],
    ids=str,
)
def test_parts_are_ordered_as_gnu_split_names_them(tmp_path: Path, options: list[str], pieces: int) -> None:
    content = random.Random(1).randbytes(pieces)
    command = ["split", "-b", "1", *options, "-", f"{tmp_path}/x.fa.gz."]
    subprocess.run(command, input=content, check=True)
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == pieces
    ((whole, parts),) = units(names, FASTA).items()
    assert whole == "x.fa.gz"
    assert b"".join((tmp_path / part).read_bytes() for part in parts) == content
    assert sorted(select(names, FASTA)[0]) == sorted(names)

    for gone in {0, 1, pieces // 2, pieces - 2}:
        left = [name for name in names if name != parts[gone]]
        with pytest.raises(ContainerError, match=re.escape(f"{parts[gone]} is missing: the next part there is")):
            units(left, FASTA)
    assert units([name for name in names if name != parts[-1]], FASTA) == {whole: parts[:-1]}


def test_units_of_folders_are_apart_and_all_problems_are_named() -> None:
    assert units(["a/x.fa.gz.aa", "b/x.fa.gz.aa", "x.fa", "y.tar"], FASTA) == {
        "x.fa": ("x.fa",),
        "y.tar": ("y.tar",),
        "a/x.fa.gz": ("a/x.fa.gz.aa",),
        "b/x.fa.gz": ("b/x.fa.gz.aa",),
    }
    with pytest.raises(ContainerError, match=r"a/x\.fa\.gz\.aa is missing.*b/x\.fa\.gz\.01 is missing"):
        units(["a/x.fa.gz.ab", "b/x.fa.gz.00", "b/x.fa.gz.02"], FASTA)
    with pytest.raises(ContainerError, match=r"x\.fa\.gz is there whole and in parts \(x\.fa\.gz\.aa\)"):
        units(["x.fa.gz", "x.fa.gz.aa"], FASTA)
    with pytest.raises(ContainerError, match=r"x\.fa\.gz\.01 is missing: the next part there is x\.fa\.gz\.aa"):
        units(["x.fa.gz.aa", "x.fa.gz.00"], FASTA)


# Parts


@settings(max_examples=share(60))
@given(
    kind=st.sampled_from(["fa.gz", "fa.bz2", "fa.zst", "tar", "tar.gz"]),
    places=st.lists(st.floats(0, 1), max_size=3),
)
def test_a_file_in_parts_is_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, kind: str, places: list[float]
) -> None:
    pack = {"fa.gz": gzip.compress, "fa.bz2": bz2.compress, "fa.zst": PACKED["tar.zst"], **PACKED}[kind]
    content = pack(tar_of([("m/a.fa", TEXT)]) if kind.startswith("tar") else TEXT)
    pieces = cut(content, sorted(int(place * len(content)) for place in places))
    folder = tmp_path_factory.mktemp("parts")
    expected = {f"x.{kind}/m/a.fa" if kind.startswith("tar") else f"x.{kind}": b"ACGTTTGACACCGTAGGATCCNN"}
    assert read_unit(f"x.{kind}", store(folder, named(f"x.{kind}", pieces))) == expected


@pytest.mark.parametrize("kind", ["fa.gz", "tar"])
def test_a_missing_last_part_is_an_error_that_names_the_last_one_there(tmp_path: Path, kind: str) -> None:
    content = tar_of([("a.fa", TEXT)])[:1536] if kind == "tar" else gzip.compress(TEXT)
    for place in range(1, len(content), 1 if kind == "fa.gz" else 64):
        pieces = named(f"x.{kind}", cut(content, [place // 2, place]))[:-1]
        with pytest.raises((StreamError, FastaError)) as caught:
            read_unit(f"x.{kind}", store(tmp_path, pieces))
        if place > 512:
            assert "ends early" in str(caught.value)
            assert f"a last part may be missing: the last one there is x.{kind}.ab (" in str(caught.value)


def test_a_changed_part_is_named_wherever_it_changed(tmp_path: Path) -> None:
    content = gzip.compress(TEXT)
    files = store(tmp_path, named("x.fa.gz", cut(content, [20, 40])))
    for file in files:
        original = Path(file.uri).read_bytes()
        for place in range(len(original)):
            changed = bytearray(original)
            changed[place] ^= 1
            Path(file.uri).write_bytes(changed)
            with pytest.raises(ChangedError, match=f"^{re.escape(file.path)} .*changed since it was catalogued"):
                read_unit("x.fa.gz", files)
        Path(file.uri).write_bytes(original)
    assert list(read_unit("x.fa.gz", files)) == ["x.fa.gz"]


def test_plain_text_in_parts_is_refused_for_its_end_cannot_be_told(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"^x\.fa\.gz: expected a compressed file in parts, found plain text"):
        read_unit("x.fa.gz", store(tmp_path, named("x.fa.gz", [TEXT[:9], TEXT[9:]])))


def test_errors_name_local_files_by_where_they_lie(tmp_path: Path) -> None:
    for name, content in named("x.fa.gz", cut(gzip.compress(TEXT)[:-3], [9])):
        (tmp_path / name).write_bytes(content)
    files = [StoredFile(f"sub/x.fa.gz.{ending}", f"{tmp_path}/x.fa.gz.{ending}") for ending in ("aa", "ab")]
    with pytest.raises(
        StreamError, match=f"^{tmp_path}/x.fa.gz: the gzip stream ends early .* is {tmp_path}/x.fa.gz.ab"
    ):
        read_unit("sub/x.fa.gz", files)


# Archives


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_in_order_packed_or_not(tmp_path: Path, kind: str, format: int) -> None:
    long = "/".join(["folder" * 5] * 7) + "/x.fna"
    folder = special("nested", tarfile.DIRTYPE)
    members = [
        ("./top.fa", TEXT),
        folder,
        ("nested/deep/é.fasta.gz", gzip.compress(b">z\nGATTACA\n")),
        ("nested/b.fa.bz2", bz2.compress(b">z\nCC\n") + bz2.compress(b">y\nGG\n")),
        ("nested/README.md", b"no FASTA"),
        ("nested/._b.fa", b"\0\5"),
        (".hidden/b.fa", b"\0\5"),
        (long, b">z\nTT\n" * 9000),
    ]
    files = store(tmp_path, [(f"in/x.{kind}", PACKED[kind](tar_of(members, format)))])
    assert read_unit(f"in/x.{kind}", files) == {
        f"in/x.{kind}/top.fa": b"ACGTTTGACACCGTAGGATCCNN",
        f"in/x.{kind}/nested/deep/é.fasta.gz": b"GATTACA",
        f"in/x.{kind}/nested/b.fa.bz2": b"CCGG",
        f"in/x.{kind}/{long}": b"TT" * 9000,
    }
    with Unit(f"in/x.{kind}", files, FASTA) as unit:
        for _, stream in unit:
            list(read_records(stream.readinto, name="x"))
            assert stream.header_lines > 0
        assert (unit.members, unit.left_out) == (4, 3)
        assert unit.left_out_first == ["nested/README.md", "nested/._b.fa", ".hidden/b.fa"]


def test_an_archive_of_gnu_tar_is_read(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / f"{'long' * 50}.fa").write_bytes(TEXT)
    for format in ("gnu", "pax", "v7", "ustar"):
        names = "sub" if format in ("gnu", "pax") else "short.fa"
        (tmp_path / "in" / "short.fa").write_bytes(TEXT)
        command = ["tar", "-C", str(tmp_path / "in"), f"--format={format}", "-cf", str(tmp_path / "x.tar"), names]
        subprocess.run(command, check=True)
        (path,) = read_unit("x.tar", [StoredFile("x.tar", str(tmp_path / "x.tar"))])
        assert path == (f"x.tar/sub/{'long' * 50}.fa" if names == "sub" else "x.tar/short.fa")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (("/etc/a.fa", TEXT), "'/etc/a.fa' has an absolute path"),
        (("a/../../b.fa", TEXT), "'a/../../b.fa' has a path with '..'"),
        (("../README", b""), "'../README' has a path with '..'"),
        (special("../up", tarfile.DIRTYPE), "'../up' has a path with '..'"),
        (special("l.fa", tarfile.SYMTYPE, linkname="/etc/passwd"), "'l.fa' is a link to '/etc/passwd'"),
        (special("notes", tarfile.LNKTYPE, linkname="good.fa"), "'notes' is a link to 'good.fa'"),
        (special("d.fa", tarfile.CHRTYPE), "'d.fa' is a device"),
        (special("d.fa", tarfile.BLKTYPE), "'d.fa' is a device"),
        (special("d.fa", tarfile.FIFOTYPE), "'d.fa' is a device, a pipe"),
        (special("d.fa", b"M"), "of another special type"),
        (("good.fa", TEXT), "good.fa: this member occurs twice"),
        (("./good.fa", TEXT), "good.fa: this member occurs twice"),
        (("empty.fa", b""), "/empty.fa: expected a line starting with '>', found an empty file"),
        (("bad.fa", b"LOCUS 1\n"), "/bad.fa, line 1: expected a line starting with '>'"),
        (("bad.fa.gz", gzip.compress(TEXT)[:-3]), "/bad.fa.gz: the gzip stream ends early"),
        (("bad.fa.gz", gzip.compress(TEXT) + b"no gzip stream"), "/bad.fa.gz: the gzip stream is damaged"),
        (("bad.fa.zst", PACKED["tar.zst"](TEXT)[:-3]), "/bad.fa.zst: the zstd stream ends early"),
    ],
    ids=lambda value: value if isinstance(value, str) else "member",
)
def test_a_hostile_or_bad_member_fails_the_archive_by_name(tmp_path: Path, member: tuple, said: str) -> None:
    assert said in fails(tmp_path, "x.tar", tar_of([("good.fa", TEXT), member, ("last.fa", TEXT)]))


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "s.fa").open("wb") as file:
        file.truncate(1 << 20)
        file.write(TEXT)
    command = ["tar", "-C", str(tmp_path), "--sparse", "-cf", str(tmp_path / "x.tar"), "s.fa"]
    subprocess.run(command, check=True)
    assert "'s.fa' is a device, a pipe or of another special type" in fails(
        tmp_path, "x.tar", (tmp_path / "x.tar").read_bytes()
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tar_of([]), "found an empty one"),
        (tar_of([("a.txt", TEXT), ("b.faa", TEXT)]), "found 2 other files: a.txt, b.faa"),
        (b"", "ends early after 0 members"),
        (TEXT, "the tar archive ends early"),
        (b"x" * 1000, "no tar archive, or a damaged one"),
        (gzip.compress(TEXT * 99), "no tar archive, or a damaged one"),
        (tar_of([("a.fa", TEXT)]) * 2, "something follows the end of the tar archive after 1 members"),
        (tar_of([("a.fa", TEXT)]) + b">", "something follows the end of the tar archive"),
    ],
    ids=["empty", "no FASTA", "no bytes", "short text", "text", "FASTA", "two archives", "junk behind"],
)
def test_what_is_no_archive_of_fasta_is_an_error(tmp_path: Path, content: bytes, said: str) -> None:
    assert said in fails(tmp_path, "x.tar", content)


@pytest.mark.long
def test_an_archive_cut_at_any_place_is_an_error(tmp_path: Path) -> None:
    content = tar_of([("a" * 120 + ".fa", TEXT), ("é.fa", TEXT), ("c.fa", TEXT * 20)])
    end = content.rstrip(b"\0").__len__() // 512 * 512 + 512
    for place in [*range(0, end, 37), end]:
        message = fails(tmp_path, "x.tar", content[:place])
        assert "ends early" in message or "invalid header" in message  # of a long name's header, from Python 3.13 on
        assert "fetch the file again" in message
    assert len(read_unit("x.tar", store(tmp_path, [("x.tar", content[: end + 512])]))) == 3


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    content = tar_of([("a.fa", TEXT), ("é.fa", TEXT), ("c.fa", TEXT)], tarfile.GNU_FORMAT)
    for header in range(512, 4 * 512, 1024):
        for place in range(header + 512, header + 1024, 11):
            damaged = bytearray(content)
            damaged[place] ^= 1
            assert "damaged" in fails(tmp_path, "x.tar", bytes(damaged))


@settings(max_examples=share(150))
@given(
    format=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    edits=st.lists(st.tuples(st.integers(0, 1 << 14), st.integers(0, 255)), min_size=1, max_size=4),
)
@example(format=tarfile.PAX_FORMAT, edits=[(0, 0)])
def test_whatever_is_in_an_archive_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, format: int, edits: list[tuple[int, int]]
) -> None:
    content = bytearray(tar_of([("b" * 150 + "/a.fa", TEXT), ("b.fa", TEXT), ("c.fa.gz", gzip.compress(TEXT))], format))
    for place, byte in edits:
        content[place % len(content)] = byte
    # Headers whose checksum was made to fit get further.
    for start in range(0, len(content) - 511, 512):
        block = content[start : start + 512]
        if block[257:262] == b"ustar":
            total = sum(block[:148]) + 8 * 32 + sum(block[156:])
            content[start + 148 : start + 156] = b"%06o\0 " % total
    with contextlib.suppress(StreamError, FastaError):
        read_unit("x.tar", store(tmp_path_factory.mktemp("fuzz"), [("x.tar", bytes(content))]))


def test_an_endless_name_or_chain_of_names_is_refused(tmp_path: Path) -> None:
    size = containers._MAX_NAME_HEADER + 1
    header = special("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=size).tobuf()
    assert "a header of 1,048,577 bytes" in fails(tmp_path, "x.tar", header + b"a" * size * 2)
    link = special("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=2).tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(
        512, b"\0"
    )
    assert "a damaged one" in fails(tmp_path, "x.tar", link * 3000)


@pytest.mark.parametrize(("members", "bases"), [(1, 48 << 20), (3000, 16 << 10)])
@pytest.mark.slow
def test_memory_does_not_grow_with_the_archive(tmp_path: Path, members: int, bases: int) -> None:
    content = tar_of((f"{i}.fa", b">x\n" + b"ACGT" * (bases // 4) + b"\n") for i in range(members))
    files = store(tmp_path, [("x.tar", content)])
    del content
    buffer = memoryview(bytearray(1 << 18))
    read_unit("x.tar", store(tmp_path, [("x.tar", tar_of([("a.fa", TEXT)]))]))  # compiles what has to be compiled
    tracemalloc.start()
    with Unit("x.tar", files, FASTA) as unit:
        for _, stream in unit:
            while stream.readinto(buffer):
                pass
        left, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert unit.members == members
    # Of 48 MB read. The streams' share is 10 MB at most; that of the tracer of coverage comes and goes.
    assert left < 24 << 20
    assert peak < 32 << 20


def test_leaving_early_ends_all_threads(tmp_path: Path) -> None:
    content = tar_of([("a.fa.gz", gzip.compress(random.Random(1).randbytes(9 << 20), 1)), ("b.fa", TEXT)])
    files = store(tmp_path, [("x.tar", content)])
    with Unit("x.tar", files, FASTA) as unit:
        members = iter(unit)
        _, stream = next(members)
        assert stream.readinto(memoryview(bytearray(10))) == 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decompress")]
