"""Provenance: what it identifies, and which tables it lets stand together."""

import pytest

from opengenome_assets.provenance import IncompatibleTablesError, Input, Provenance, common_corpus, digest

MADE = Provenance(
    name="kmer_", code_version="1", settings={"ks": [6]}, inputs={"sequence_shards": Input(version=3, data_version="a")}
)


def test_who_ran_it_and_when_do_not_change_the_content():
    again = MADE.model_copy(
        update={
            "run_id": "x",
            "package_version": "9",
            "inputs": {"sequence_shards": Input(version=7, data_version="a")},
        }
    )
    assert again.data_version == MADE.data_version


@pytest.mark.parametrize(
    "change",
    [
        {"code_version": "2"},
        {"settings": {"ks": [7]}},
        {"inputs": {"sequence_shards": Input(version=3, data_version="b")}},
        {"name": "other"},
    ],
)
def test_code_settings_and_inputs_do(change):
    assert MADE.model_copy(update=change).data_version != MADE.data_version


def test_it_survives_json():
    assert Provenance.model_validate_json(MADE.model_dump_json()) == MADE


def test_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": "é"}) == digest({"b": "é", "a": 1}) != digest({"a": 1, "b": "e"})


def test_tables_of_one_corpus_stand_together():
    shards = MADE.model_copy(update={"name": "sequence_shards", "corpus": "new"})
    counts = MADE.model_copy(update={"corpus": "new"})
    assert common_corpus({"sequence_shards": shards, "kmer_": counts, "raw_fasta": MADE}) == "new"


def test_a_table_of_another_corpus_is_refused_by_name_with_the_remedy():
    shards = MADE.model_copy(update={"corpus": "new"})
    stale = MADE.model_copy(update={"corpus": "old"})
    with pytest.raises(IncompatibleTablesError, match=r"kmer_: .*--select 'kmer_'"):
        common_corpus({"sequence_shards": shards, "kmer_": stale})
