"""Provenance: what it identifies, and which tables it lets stand together."""

import json
from datetime import UTC, datetime

import pytest

from opengenome_assets.storage.record import (
    FORMAT,
    IncompatibleTablesError,
    Input,
    NewerRecordError,
    Provenance,
    common_corpus,
    digest,
)

MADE = Provenance(
    name="kmer_", code_version="1", settings={"ks": [6]}, inputs={"sequence_shards": Input(version=3, data_version="a")}
)


def test_who_ran_it_and_when_do_not_change_the_content():
    again = MADE.model_copy(
        update={
            "run_id": "x",
            "package_version": "9",
            "commit": "abc",
            "modules": {"kernels.kmers": "1"},
            "libraries": {"numpy": "9"},
            "started": datetime(2026, 1, 1, tzinfo=UTC),
            "seconds": 3.5,
            "cpu_seconds": 2.5,
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


# What version 0.1.0 wrote before records said how they came to be.
OLD = (
    '{"name": "kmer_", "code_version": "1", "settings": {"ks": [6]}, "inputs": {"sequence_shards": {"version": 3, '
    '"data_version": "a"}}, "corpus": "", "run_id": "r", "package_version": "0.1.0"}'
)


def test_an_old_record_is_read_and_identifies_the_same_content():
    old = Provenance.model_validate_json(OLD)
    assert old.data_version == MADE.data_version
    assert old.data_version == "43e86c64a1800e98a191a43468c92dd4c52db80b81d709f2f583ef3a2e967519"
    assert (old.run_id, old.started, old.modules) == ("r", None, {})


def test_a_record_of_a_newer_form_is_refused_with_both_versions_and_the_remedy():
    newer = json.loads(OLD) | {"format": FORMAT + 1, "package_version": "9.9"}
    with pytest.raises(NewerRecordError, match=r"kmer_ was made by opengenome-assets 9\.9.*this is 0\..*Upgrade"):
        Provenance.model_validate_json(json.dumps(newer))


def test_a_newer_package_whose_records_have_the_same_form_is_read():
    assert Provenance.model_validate_json(json.dumps(json.loads(OLD) | {"package_version": "9.9"})).name == "kmer_"


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
