"""The lineage tree: complete, down to the files, with a note for each missing input."""

import json
import shutil
from hashlib import sha256

import pyarrow as pa
import pytest

from opengenome_assets import groups
from opengenome_assets.lineage.records import UnknownNameError
from opengenome_assets.lineage.tree import draw, lineage
from opengenome_assets.storage.record import Provenance, sealed
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.lineage.conftest import A, B, C

SPECS = groups.specs()
ROWS = pa.table({"id": ["a"]})


def test_a_table_is_followed_down_to_the_files_of_its_own_version(story):
    tree = lineage(story.home, SPECS, "kmer_freq_k2", 1)
    assert list(tree.nodes) == [
        f"{name} version 1" for name in ("kmer_freq_k2", "kmer_", "sequence_shards", "raw_fasta")
    ]
    (catalogue,) = [node for node in tree.nodes.values() if node.files]
    found = {f"{file.source}/{file.path}": (file.bytes, file.sha256) for file in catalogue.files}
    texts = {"fern/fern/c.fa": C, "moss/moss/a.fa": f"{A}>a3\nAAAAAAAAAA\n", "moss/moss/moved.fa": B}
    assert found == {name: (len(text), sha256(text.encode()).hexdigest()) for name, text in texts.items()}


def test_each_node_carries_the_run_the_code_and_the_cost(story):
    node = lineage(story.home, SPECS, "kmer_", 1).nodes["kmer_ version 1"]
    assert node.record.run_id == story.runs[1]
    assert node.record.settings == {"ks": [2]}
    assert set(node.record.modules) >= {"corpus.passes.kmers", "kernels.kmers"}
    assert node.record.libraries["numpy"]
    assert node.record.seconds > 0
    assert node.record.started.isoformat(timespec="seconds") <= node.made
    assert node.notes == []


def test_the_report_stands_on_figures_and_tables_and_each_is_written_out_once(story):
    tree = lineage(story.home, SPECS, "corpus_report")
    assert {"figure_spectrum", "codon_rscu version 0", "rejected_records version 0"} <= set(tree.nodes)
    text = "\n".join(draw(tree))
    assert text.splitlines()[0].startswith("corpus_report, data version")
    for label in tree.nodes:
        written = [line for line in text.splitlines() if f"─ {label}," in f"─ {line}" and "see above" not in line]
        assert len(written) == 1, label


def test_text_names_so_many_files_and_how_many_more(story):
    text = "\n".join(draw(lineage(story.home, SPECS, "raw_fasta", 1), files=1))
    assert sha256(C.encode()).hexdigest() in text
    assert sha256(B.encode()).hexdigest() not in text
    assert "2 more files" in text
    assert "all: opengenome-assets" in text


def test_an_input_whose_table_is_gone_is_named_with_what_was_read(story, tmp_path):
    shutil.copytree(f"{story.home.uri}/tables/kmer_", tmp_path / "tables" / "kmer_")
    tree = lineage(Home(str(tmp_path)), SPECS, "kmer_", 0)
    lost = tree.nodes["sequence_shards"]
    assert lost.data_version == story.home.table("sequence_shards").provenance(0).data_version
    assert "called 'sequence_shards'" in lost.notes[0]


def test_a_table_that_was_made_again_under_the_same_version_is_not_taken_for_the_one_read(story, tmp_path):
    shutil.copytree(f"{story.home.uri}/tables/kmer_", tmp_path / "tables" / "kmer_")
    home = Home(str(tmp_path))
    home.table("sequence_shards").write(ROWS, Provenance(name="sequence_shards", code_version="1"))
    tree = lineage(home, SPECS, "kmer_", 0)
    assert tree.nodes["sequence_shards version 0"].notes == ["has been made again since"]
    assert tree.nodes["sequence_shards version 0"].record is None


def test_code_that_changed_since_or_without_a_new_code_version_is_named(tmp_path):
    home = Home(str(tmp_path))
    for settings, digest in (({}, "0" * 16), ({"k": 1}, "1" * 16)):
        made = Provenance(name="t", code_version="1", settings=settings, modules={"kernels.kmers": digest})
        home.table("t").write(ROWS, made)
    (first,) = lineage(home, SPECS, "t", 0).nodes.values()
    since = "since then the code has changed in kernels.kmers; code version then: 1"
    assert first.notes == [since]
    (second,) = lineage(home, SPECS, "t", 1).nodes.values()
    assert second.notes == [
        since,
        "version 0 was made with the same code version by other code, and its parts may have been used again",
    ]


def test_digests_of_code_from_before_they_could_be_compared_are_not(tmp_path):
    home = Home(str(tmp_path))
    for settings, package, digest in (({}, "0.1.9", "0" * 16), ({"k": 1}, "0.2.0", "1" * 16)):
        modules = {"kernels.kmers": digest}
        made = Provenance(name="t", code_version="1", settings=settings, package_version=package, modules=modules)
        home.table("t").write(ROWS, made)
    (first,) = lineage(home, SPECS, "t", 0).nodes.values()
    assert first.notes == []
    (second,) = lineage(home, SPECS, "t", 1).nodes.values()
    assert second.notes == ["since then the code has changed in kernels.kmers; code version then: 1"]


@pytest.mark.parametrize(
    ("name", "version", "error", "said"),
    [
        (
            "kmers",
            None,
            UnknownNameError,
            "nothing at .* is called 'kmers'. There are: codon_bias, codon_counts, .*figure_rscu",
        ),
        ("kmer_", 9, MissingVersionError, "kmer_ has no version 9; it has 0 to 2"),
        ("figure_rscu", 0, MissingVersionError, "figure_rscu is a figure, of which only the last is kept"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(story, name, version, error, said):
    with pytest.raises(error, match=said):
        lineage(story.home, SPECS, name, version)


def test_a_record_of_a_newer_package_is_refused(story, tmp_path):
    shutil.copytree(f"{story.home.uri}/figures", tmp_path / "figures")
    file = tmp_path / "figures" / "figure_rscu.json"
    record = json.loads(file.read_text())
    record["provenance"] |= {"format": 99, "package_version": "9.0"}
    record.pop("digest")
    file.write_bytes(sealed(record))
    with pytest.raises(RuntimeError, match=r"figure_rscu was made by opengenome-assets 9\.0.*Upgrade"):
        lineage(Home(str(tmp_path)), SPECS, "figure_rscu")
