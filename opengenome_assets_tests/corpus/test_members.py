from opengenome_assets_tests.corpus.conftest import failure
from opengenome_assets_tests.corpus.test_sequence_shards import tar_of, TWO, ONE
def test_members(corpus):
    made = corpus({"a/all.tar": tar_of({"one.fa": ONE, "two.fa": TWO})})
    r = made.materialize("*sequence_shards,rejected_records", ok=None) if False else made.materialize("*sequence_shards,rejected_records")
    assert all(e.passed for e in r.get_asset_check_evaluations())
    assert made.tables.read("sequence_shards").num_rows == 3
