"""The pass behind tfidf_index refuses what does not add up."""

import pyarrow as pa
import pytest

from opengenome_assets.corpus.passes import profiles
from opengenome_assets.corpus.passes.profiles import profile_sequences
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.shards import Output, ScanTask, Shard, run_scan
from opengenome_assets.storage.parts import write_part


@pytest.mark.slow
def test_counts_that_do_not_add_up_end_the_pass_and_name_the_sequence(tmp_path, monkeypatch):
    right = profiles.sequence_kmers

    def wrong(*text):
        kmers = right(*text)
        return kmers._replace(counts=kmers.counts + (kmers.codes == 0))

    names, letters = ["one", "two"], ["ACGTACGTAC", "GGAAAAAACC"]
    given = {"source": "moss", "file": "m.fa", "description": "", "length": 10, "gc_content": 0.5, "acgt_bases": 10}
    rows = [{**given, "seq_id": name, "sequence": text} for name, text in zip(names, letters, strict=True)]
    part = write_part(f"{tmp_path}/shards", "key", pa.Table.from_pylist(rows, schema=SEQUENCE_SHARDS.schema))
    shard = Shard(name="key/00000", uri=f"{tmp_path}/shards/{part.files[0].path}", source="moss", bases=20)
    outputs = (Output(f"{tmp_path}/index", TFIDF_INDEX.schema), Output(f"{tmp_path}/terms", TFIDF_TERMS.schema))
    index, _ = run_scan(ScanTask(profile_sequences, shard, "right", outputs))
    assert index.rows == 2
    monkeypatch.setattr(profiles, "sequence_kmers", wrong)
    with pytest.raises(ArithmeticError, match=r"m\.fa, two: .* do not add up to its 5 windows"):
        run_scan(ScanTask(profile_sequences, shard, "wrong", outputs))
