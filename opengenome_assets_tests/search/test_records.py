"""Records by their identifiers: the letters that were written, wherever in the table they lie."""

from functools import partial

import numpy as np
import pytest
from deltalake import DeltaTable, QueryBuilder

from opengenome_assets.search.records import find_records, read_letters
from opengenome_assets.storage.parquet import file as parquet
from opengenome_assets_tests.kernels.texts import random_bases
from opengenome_assets_tests.search.corpora import fasta, make_corpus


@pytest.mark.parametrize("page_bytes", [1, 1000, 1 << 20])
def test_letters_are_those_of_the_record_in_whatever_page_it_lies(tmp_path, monkeypatch, page_bytes):
    monkeypatch.setattr(parquet, "write_pages", partial(parquet.write_pages, page_bytes=page_bytes))
    rng = np.random.default_rng(5)
    written = {f"r{number}": random_bases(rng, 1 + 150 * number).decode() for number in range(12)}
    tables = make_corpus(tmp_path, {"one/a.fasta": fasta(written), "two/b.fasta": fasta({"r3": "GATTACA"})})
    # By delta-rs, which reads Parquet with code of its own.
    shards = QueryBuilder().register("shards", DeltaTable(tables.table("sequence_shards").uri))
    found = shards.execute("SELECT seq_id, sequence FROM shards WHERE source = 'one'").read_all()
    assert dict(zip(*(found[place].to_pylist() for place in range(2)), strict=True)) == written
    for name, sequence in written.items():
        records = {record.source: record for record in find_records(tables, 0, name)}
        assert read_letters(tables, records["one"]) == sequence
        assert read_letters(tables, records["one"], 7, 90) == sequence[7:90]
        if "two" in records:
            assert (name, read_letters(tables, records["two"])) == ("r3", "GATTACA")
