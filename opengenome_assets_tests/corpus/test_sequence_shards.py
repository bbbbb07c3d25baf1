"""sequence_shards: files in parts and archives, from the catalogue to the tables, made once and again."""

import bz2
import gzip
import io
import tarfile

import pytest

from opengenome_assets.corpus.sequence_shards import SequenceShardsConfig
from opengenome_assets.corpus.units import parse_tasks
from opengenome_assets.intake.containers import ContainerError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import failure, write_files

ONE = b">p1 first\nACGTACGTNNACGTTGCA\n>p2\nGGGCCCATATAT\n"
TWO = b">p1\nTTTTTTTTTTTT\n"


def in_parts(name: str, content: bytes, size: int = 20) -> dict[str, bytes]:
    return {f"{name}.a{chr(97 + i)}": content[i * size : (i + 1) * size] for i in range(-(-len(content) // size))}


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def contents(made) -> set[tuple[str, str, str, str]]:
    rows = made.content("sequence_shards")
    return {(row["source"], row["file"], row["seq_id"], row["sequence"]) for row in rows}


@pytest.mark.slow
def test_parts_and_archives_are_parsed_once_and_again_where_they_changed(corpus, tmp_path):
    cut = in_parts("plants/one.fa.gz", gzip.compress(ONE, mtime=0))
    assert len(cut) > 2
    archive = tar_of({"in/two.fa": TWO, "in/three.fa.bz2": bz2.compress(b">r1\nacgt\n"), "notes.txt": b"text"})
    made = corpus({**cut, "animals/all.tar.gz": gzip.compress(archive), "animals/plain.fa": b">s1\nCCCC\n"})
    first = made.materialize("*shard_stats,*kmer_,rejected_records")
    animals = {
        ("animals", "animals/plain.fa", "s1", "CCCC"),
        ("animals", "animals/all.tar.gz/in/three.fa.bz2", "r1", "ACGT"),
    }
    animals.add(("animals", "animals/all.tar.gz/in/two.fa", "p1", "TTTTTTTTTTTT"))
    plants = {
        ("plants", "plants/one.fa.gz", "p1", "ACGTACGTNNACGTTGCA"),
        ("plants", "plants/one.fa.gz", "p2", "GGGCCCATATAT"),
    }
    assert contents(made) == animals | plants
    assert all(evaluation.passed for evaluation in first.get_asset_check_evaluations())
    assert {row["path"] for row in made.content("raw_fasta")} == {*cut, "animals/all.tar.gz", "animals/plain.fa"}
    shown = made.metadata(first, "sequence_shards")
    assert (shown["files"], shown["archive_members"], shown["archive_members_left_out"]) == (3, 2, 1)

    again = made.materialize("*sequence_shards,rejected_records")
    assert made.metadata(again, "sequence_shards")["files_reused"] == 3

    # Other bytes in one part: the work of one unit, in every table.
    other = in_parts("plants/one.fa.gz", gzip.compress(ONE.replace(b"GGG", b"CCC"), mtime=0))
    changed = [name for name in other if other[name] != cut.get(name)]
    write_files(tmp_path / "fasta", {name: other[name] for name in changed})
    once = made.materialize("*kmer_,rejected_records")
    assert made.metadata(once, "sequence_shards")["files_reused"] == 2
    assert made.metadata(once, "kmer_")["bases_scanned"] == 30
    assert ("plants", "plants/one.fa.gz", "p2", "CCCCCCATATAT") in contents(made)

    # The last part gone: an error, and the tables as they were. The first gone: an error before any parsing.
    last, root = sorted(other)[-1], tmp_path / "fasta"
    (root / last).unlink()
    said = failure(made.materialize("*sequence_shards", ok=False, sequence_shards={"max_unusable_share": 0.0}))
    assert "1 of 3 files cannot be used" in said
    assert f"a last part may be missing: the last one there is {root / sorted(other)[-2]}" in said
    (root / sorted(other)[0]).unlink()
    failed = made.materialize("*sequence_shards", ok=False)
    assert "plants/one.fa.gz.aa is missing: the next part there is plants/one.fa.gz.ab" in failure(failed)
    assert not failed.get_asset_materialization_events()
    assert len(contents(made)) == 5

    for name in other:
        (root / name).unlink(missing_ok=True)
    made.materialize("*sequence_shards,rejected_records")
    assert contents(made) == animals


def test_a_catalogue_with_a_gap_is_refused_and_units_have_keys_of_their_own(tmp_path):
    tables, settings = Home(str(tmp_path)), SequenceShardsConfig().parse_settings()

    def row(path: str, sha256: str = "0" * 64, source: str = "s") -> dict[str, str]:
        return {"source": source, "path": path, "uri": f"store/{sha256}", "sha256": sha256}

    def keys(*rows: dict[str, str]) -> dict[tuple[str, str], str]:
        return {(task.source, task.path): task.shards_key for task in parse_tasks(tables, rows, settings)}

    with pytest.raises(ContainerError, match=r"x\.fa\.gz\.ab is missing"):
        keys(row("x.fa.gz.aa"), row("x.fa.gz.ac"))
    parts = [row("x.fa.gz.aa", "1" * 64), row("x.fa.gz.ab", "2" * 64)]
    (key,) = keys(*parts).values()
    assert keys(*parts[::-1]) == {("s", "x.fa.gz"): key}
    others = [
        keys(row("x.fa.gz.aa", "2" * 64), row("x.fa.gz.ab", "1" * 64)),
        keys(parts[0]),
        keys(row("x.fa.gz", "1" * 64)),
        keys(*parts, row("x.fa.gz.ac", "3" * 64)),
        keys(*(row(part["path"], part["sha256"], "t") for part in parts)),
    ]
    assert len({key, *(other for found in others for other in found.values())}) == 6
    assert len(keys(*parts, row("x.fa.gz.aa", source="t"))) == 2


@pytest.mark.long
def test_the_same_identifier_in_two_members_of_an_archive_is_no_duplicate(corpus):
    made = corpus({"a/all.tar": tar_of({"one.fa": ONE, "two.fa": TWO})})
    result = made.materialize("*sequence_shards,rejected_records")
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    assert made.home.table("sequence_shards").read().num_rows == 3
