"""VCF files of one sample and of several: order, records, and index, as other tools need them."""

from pathlib import Path

import pysam
import pytest

from opengenome_assets.variants.passes.vcf import Writing, write

CONTIGS = (("chr10", 1_000), ("HLA:01", 1_000), ("chr2", 1_000))
HEADER = ('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',)


def record(contig: str, pos: int, alt: str = "G") -> dict[str, object]:
    given = {"contig": contig, "pos": pos, "ref": "A", "alt": alt, "qual": 30.0}
    return {**given, "info": ".", "format": "GT", "call": "0/1"}


@pytest.mark.parametrize("first", [["chr2"], ["chr2", "chr10"], ["HLA:01"], [], ["chr10", "HLA:01", "chr2"]])
@pytest.mark.long
def test_a_joint_file_has_the_contigs_in_the_order_of_the_reference(tmp_path: Path, first: list[str]) -> None:
    """Whichever contigs the first sample has records on."""
    samples = {
        "one": [record(contig, 7) for contig in first],
        "two": [record(contig, pos) for contig, _ in CONTIGS for pos in (9, 5)],
        "three": [record("HLA:01", 5, "T")],
    }
    row, path = written(tmp_path, "all", samples)
    with pysam.VariantFile(path) as file:
        assert list(file.header.samples) == list(samples)
        found = [(each.contig, each.pos) for each in file]
        names = [contig for contig, _ in CONTIGS]
        assert found == sorted(found, key=lambda place: (names.index(place[0]), place[1]))
        assert set(found) == {(each["contig"], each["pos"]) for rows in samples.values() for each in rows}
        assert row["records"] == len(found)
        for contig in names:
            assert [each.pos for each in file.fetch(contig)] == [pos for name, pos in found if name == contig]
        (both,) = file.fetch("HLA:01", 4, 5)
        assert both.alts == ("G", "T")
        assert [both.samples[name]["GT"] for name in samples] == [(None, None), (0, 1), (0, 2)]


def test_the_file_of_one_sample_has_an_index(tmp_path: Path) -> None:
    row, path = written(tmp_path, "one", {"one": [record("chr2", 9), record("chr10", 5), record("chr2", 3)]})
    with pysam.VariantFile(path) as file:
        assert [(each.contig, each.pos) for each in file] == [("chr10", 5), ("chr2", 3), ("chr2", 9)]
        assert [each.pos for each in file.fetch("chr2", 5, 10)] == [9]
    assert row["records"] == 3
    assert {file.name for file in Path(path).parent.iterdir()} == {
        "one.vcf.gz",
        "one.vcf.gz.tbi",
        "one.vcf.gz.stats",
    }


def written(folder: Path, name: str, samples: dict[str, list[dict[str, object]]]) -> tuple[dict[str, object], str]:
    work = Writing(name, samples, HEADER, CONTIGS, str(folder), f"variants/{name}/{name}.vcf.gz")
    rows: list[dict[str, object]] = []

    class Rows:
        def write(self, table: object) -> None:
            rows.extend(table.to_pylist())

    write(work, Rows())
    (row,) = rows
    return row, str(folder / str(row["path"]))
