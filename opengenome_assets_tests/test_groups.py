"""The groups: the settings that a record gives, for every kind of table, and records that cannot be used."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.corpus.group import GROUP as CORPUS
from opengenome_assets.corpus.settings import CorpusSettings
from opengenome_assets.corpus.tables import CODON_RSCU, KMER_FREQUENCIES, KMERS
from opengenome_assets.groups import RecordedSettingsError, settings_of
from opengenome_assets.search.tables import QUERY_HITS
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.storage.numbers import rows


def record(name: str, **settings: object) -> Provenance:
    return Provenance(name=name, code_version="7", settings=settings, package_version="0.1.0")


def corpus(made: Provenance) -> CorpusSettings:
    return settings_of(made, "/scratch").section(CorpusSettings)


def test_declared_settings_come_from_the_record_and_others_are_defaults() -> None:
    assert corpus(record(KMERS.name, ks=[3, 12], other=1)) == CorpusSettings(ks=(3, 12))
    assert corpus(record(CODON_RSCU.name)) == CorpusSettings()
    assert corpus(record(QUERY_HITS.name)) == CorpusSettings()
    assert settings_of(record(KMERS.name, ks=[3]), "/scratch").home == "/scratch"


def test_a_member_of_a_family_has_its_number_and_the_declared_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert corpus(record(KMER_FREQUENCIES.member(5).name)) == CorpusSettings(ks=(5,))
    family = replace(KMER_FREQUENCIES, template=replace(KMER_FREQUENCIES.template, settings=("genetic_codes",)))
    group = replace(CORPUS, tables=(family,))
    monkeypatch.setattr(groups, "GROUPS", (group,))
    made = record(family.member(5).name, genetic_codes={"a": 4})
    assert corpus(made) == CorpusSettings(ks=(5,), genetic_codes={"a": 4})


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (record(KMERS.name), "its record lacks the setting ks"),
        (
            record(KMERS.name, ks=[13]),
            r"out of range here: OPENGENOME_KS is \[13\]: expected whole numbers from 1 to 12",
        ),
        (record(KMER_FREQUENCIES.member(13).name), "whole numbers from 1 to 12"),
        (record(KMERS.name, ks=None), "OPENGENOME_KS is None"),
    ],
    ids=["missing", "out of range", "number of a family", "no list"],
)
def test_a_record_that_cannot_be_used_is_refused_in_words(made: Provenance, problem: str) -> None:
    with pytest.raises(RecordedSettingsError, match=problem) as refusal:
        settings_of(made, "/scratch")
    assert str(refusal.value).startswith(f"{made.name}: ")
    assert "code version 7 of opengenome-assets 0.1.0: install that one" in str(refusal.value)


def test_reproduce_shows_it(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = KMER_FREQUENCIES.member(13).name
    home = Home(str(tmp_path))
    home.table(name).write(rows(1), record(name))
    monkeypatch.setenv("OPENGENOME_HOME", home.uri)
    monkeypatch.setenv("OPENGENOME_ENGINE", "processes")
    answer = CliRunner().invoke(main, ["reproduce", name])
    assert answer.exit_code == 2
    assert f"{name}: cannot be made again: {name}: its settings are out of range here" in answer.output
