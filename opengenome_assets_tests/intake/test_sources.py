"""Sources: which files a specification names, and what is said when it names none."""

import os

import pytest

from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import SourceError, list_source, unique_labels

TEXT = ">a\nACGT\n"


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXT)


def listed(specification):
    return {(file.source, file.path) for file in list_source(str(specification), FASTA).files}


def test_the_sample_has_a_source_for_each_genetic_code():
    files = list_source("sample", FASTA, sample=SAMPLE_FOLDER).files
    assert [(file.source, file.path) for file in files] == [
        ("mitochondria", "mitochondria.fasta.gz"),
        ("plastids", "plastids.fasta.gz"),
        ("vertebrate_mitochondria", "vertebrate_mitochondria.fasta.gz"),
    ]
    assert all(file.revision.startswith("sample-") for file in files)


def test_sub_folders_are_sources(tmp_path):
    write(tmp_path / "corpus", "top.fa", "plants/a.fasta.gz", "plants/b.fna", "animals/deep/c.fa.zst", "d.fas.bz2")
    assert listed(tmp_path / "corpus") == {
        ("corpus", "top.fa"),
        ("corpus", "d.fas.bz2"),
        ("plants", "plants/a.fasta.gz"),
        ("plants", "plants/b.fna"),
        ("deep", "animals/deep/c.fa.zst"),
    }


def test_folders_of_the_same_name_stay_apart(tmp_path):
    write(tmp_path, "bacteria/genomes/a.fa", "archaea/genomes/a.fa", "other/a.fa")
    assert {source for source, _ in listed(tmp_path)} == {"bacteria/genomes", "archaea/genomes", "other"}


def test_a_file_named_directly_is_a_source_whatever_its_name(tmp_path):
    write(tmp_path, "strange.txt", "x/chr1.fa.gz")
    assert listed(f"{tmp_path}/strange.txt, {tmp_path}/x/chr1.fa.gz") == {
        ("strange.txt", "strange.txt"),
        ("chr1", "chr1.fa.gz"),
    }


def test_a_file_named_twice_is_taken_once(tmp_path):
    write(tmp_path, "x/a.fa")
    assert len(list_source(f"{tmp_path},{tmp_path}/x/a.fa", FASTA).files) == 1


def test_other_and_hidden_files_are_left_out_and_the_former_are_named(tmp_path):
    write(tmp_path, "a.fa", "README.md", ".hidden.fa", ".git/b.fa", "protein.faa")
    listing = list_source(str(tmp_path), FASTA)
    assert [file.path for file in listing.files] == ["a.fa"]
    assert {os.path.basename(name) for name in listing.skipped} == {"README.md", "protein.faa"}


def test_parts_and_archives_are_found(tmp_path):
    write(
        tmp_path / "corpus",
        "w/x.fasta.gz.aa",
        "w/x.fasta.gz.ab",
        "g/every.tar.gz",
        "top.tar",
        "top.tar.fai",
        "w/y.fa.aa",
    )
    assert listed(tmp_path / "corpus") == {
        ("w", "w/x.fasta.gz.aa"),
        ("w", "w/x.fasta.gz.ab"),
        ("g", "g/every.tar.gz"),
        ("corpus", "top.tar"),
    }
    skipped = list_source(str(tmp_path / "corpus"), FASTA).skipped
    assert {os.path.basename(name) for name in skipped} == {"top.tar.fai", "y.fa.aa"}
    named = [f"{tmp_path}/corpus/{name}" for name in ("w/x.fasta.gz.aa", "w/x.fasta.gz.ab", "g/every.tar.gz")]
    assert listed(",".join(named)) == {("x", "x.fasta.gz.aa"), ("x", "x.fasta.gz.ab"), ("every", "every.tar.gz")}


def test_all_missing_parts_are_named_before_any_work(tmp_path):
    write(tmp_path, "a/x.fa.gz.ab", "b/y.tar.00", "b/y.tar.02", "c/z.fa.gz", "c/z.fa.gz.aa", "d/fine.fa")
    with pytest.raises(SourceError) as caught:
        list_source(str(tmp_path), FASTA)
    for problem in (
        "a: a/x.fa.gz.aa is missing: the next part there is a/x.fa.gz.ab",
        "b: b/y.tar.01 is missing: the next part there is b/y.tar.02",
        "c: c/z.fa.gz is there whole and in parts (c/z.fa.gz.aa)",
    ):
        assert problem in str(caught.value)


def test_a_folder_without_fasta_says_what_was_looked_for_and_found(tmp_path):
    write(tmp_path, "notes.txt")
    with pytest.raises(SourceError, match=r"no FASTA file found.*\.fasta.*notes\.txt"):
        list_source(str(tmp_path), FASTA)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere: no such file or folder.*OPENGENOME_SOURCE"):
        list_source(str(tmp_path / "nowhere"), FASTA)


@pytest.mark.parametrize("specification", ["", " , "])
def test_an_empty_specification_says_what_to_name(specification):
    with pytest.raises(SourceError, match="name a FASTA file"):
        list_source(specification, FASTA)


def test_an_address_that_cannot_be_read_says_what_can():
    with pytest.raises(SourceError, match="expected 'sample', a local file or folder, or hf://datasets"):
        list_source("s3://bucket/fasta", FASTA)


def test_a_source_must_not_be_called_all(tmp_path):
    write(tmp_path, "all/a.fa")
    with pytest.raises(SourceError, match="'all'"):
        list_source(str(tmp_path), FASTA)


def test_files_that_cannot_be_read_are_all_named_before_any_work(tmp_path):
    write(tmp_path, "good.fa")
    for name in ("bad.fa", "worse.fa"):
        (tmp_path / name).symlink_to(tmp_path / "gone")
    with pytest.raises(SourceError, match=r"2 of 3 files cannot be read: .*bad\.fa.*worse\.fa"):
        list_source(str(tmp_path), FASTA)


def test_permission_denied_is_an_error_for_another_user(tmp_path):
    write(tmp_path, "x/a.fa")
    (tmp_path / "x").chmod(0)
    try:
        if os.geteuid():
            with pytest.raises(SourceError, match=r"cannot list .*Permission denied"):
                list_source(str(tmp_path), FASTA)
            return
        # Root may read everything: look as somebody else.
        for folder in [tmp_path, *tmp_path.parents]:
            if folder.stat().st_uid == 0 and str(folder) != "/":
                folder.chmod(folder.stat().st_mode | 0o055)
        read, write_end = os.pipe()
        if os.fork() == 0:
            os.setuid(65534)
            try:
                list_source(str(tmp_path), FASTA)
            except SourceError as error:
                os.write(write_end, str(error).encode())
            os._exit(0)
        os.close(write_end)
        os.wait()
        assert b"Permission denied" in os.read(read, 4096)
    finally:
        (tmp_path / "x").chmod(0o755)


def test_labels_grow_until_they_differ(tmp_path):
    paths = {tmp_path / "a" / "x" / "genomes", tmp_path / "b" / "x" / "genomes", tmp_path / "c"}
    assert set(unique_labels(paths).values()) == {"a/x/genomes", "b/x/genomes", "c"}


def test_links_to_folders_are_followed_once(tmp_path):
    write(tmp_path, "data/a.fa", "elsewhere/b.fa")
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "back").symlink_to(tmp_path / "data")
    assert listed(tmp_path / "data") == {("data", "a.fa"), ("linked", "linked/b.fa")}


def test_a_pipe_is_left_out_and_not_waited_for(tmp_path):
    write(tmp_path, "a.fa")
    os.mkfifo(tmp_path / "p.fa")
    listing = list_source(str(tmp_path), FASTA)
    assert [file.path for file in listing.files] == ["a.fa"]
    assert listing.skipped == (str(tmp_path / "p.fa"),)


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"b\xff.fa")).write_text(TEXT)
    with pytest.raises(SourceError, match="expected a name in UTF-8"):
        list_source(str(tmp_path), FASTA)


def test_two_files_that_no_table_could_tell_apart_are_refused_by_name(tmp_path):
    write(tmp_path, "x.fasta", "x/x.fasta")
    with pytest.raises(SourceError, match=r"/x\.fasta and .*/x/x\.fasta are both the file x\.fasta of the source x"):
        list_source(f"{tmp_path}/x.fasta,{tmp_path}/x", FASTA)
    assert len(list_source(str(tmp_path), FASTA).files) == 2


def test_a_folder_is_visited_once_whatever_links_lead_to_it(tmp_path):
    write(tmp_path, "r/b/x.fasta", "r/b/deep/y.fasta", "elsewhere/z.fasta")
    (tmp_path / "r/a").symlink_to("b")
    (tmp_path / "r/b/deep/up").symlink_to(tmp_path / "r")
    for name in ("far", "further"):
        (tmp_path / "r" / name).symlink_to(tmp_path / "elsewhere")
    once = {("b", "b/x.fasta"), ("deep", "b/deep/y.fasta"), ("far", "far/z.fasta")}
    assert listed(tmp_path / "r") == once
    assert listed(f"{tmp_path}/r,{tmp_path}/r/a") == once


def test_a_comma_in_a_name_is_written_with_a_backslash(tmp_path):
    write(tmp_path, "a,b/x.fasta", "c.fasta", ",.fasta")
    assert listed(rf"{tmp_path}/a\,b, {tmp_path}/c.fasta,{tmp_path}/\,.fasta") == {
        ("a,b", "x.fasta"),
        ("c", "c.fasta"),
        (",", ",.fasta"),
    }
    with pytest.raises(SourceError, match=r"a comma in a name is written \\,"):
        list_source(f"{tmp_path}/a,b", FASTA)
