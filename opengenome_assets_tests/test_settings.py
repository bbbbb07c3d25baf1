"""The settings: defaults, environment, sections, and what is said of values that cannot be used."""

import re

import pytest
from click.testing import CliRunner

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.corpus.settings import MAX_K, CorpusSettings
from opengenome_assets.definitions import build_defs
from opengenome_assets.kernels import kmers
from opengenome_assets.search.settings import SearchSettings
from opengenome_assets.settings import HomeSettings, Settings, SettingsError, read_home
from opengenome_assets_tests.processes import REPOSITORY

FOLDERS = ("opengenome_assets", "docker", "deploy", "docs")
TEXT = (".py", ".md", ".yml", ".yaml", ".tpl", ".js", ".sbatch")


def test_defaults_need_nothing_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = groups.read_settings({})
    corpus, search = settings.section(CorpusSettings), settings.section(SearchSettings)
    assert settings.home == read_home({}) == str(tmp_path / "data")
    assert (corpus.source, search.queries) == (None, "")
    assert (settings.engine, settings.spark_master, corpus.ks) == ("spark", "local[*]", (6, 7, 8))
    assert corpus.genetic_codes == {}
    assert {shown.origin for each in (settings, corpus, search) for shown in each.shown()} == {"default"}


def test_the_largest_k_is_that_of_the_kernels():
    assert MAX_K == kmers.MAX_K


def test_every_variable_is_read_and_remembered():
    settings = groups.read_settings(
        {
            "OPENGENOME_HOME": "s3://bucket/corpus",
            "OPENGENOME_SOURCE": "/genomes",
            "OPENGENOME_QUERIES": "/queries.fa",
            "OPENGENOME_ENGINE": "processes",
            "SPARK_MASTER": "spark://host:7077",
            "OPENGENOME_KS": "12, 1,4,4",
            "OPENGENOME_GENETIC_CODES": "plants=11, vertebrates=2",
        }
    )
    corpus, search = settings.section(CorpusSettings), settings.section(SearchSettings)
    assert (settings.home, settings.engine, settings.spark_master) == (
        "s3://bucket/corpus",
        "processes",
        "spark://host:7077",
    )
    assert (corpus.source, search.queries) == ("/genomes", "/queries.fa")
    assert corpus.ks == (1, 4, 12)
    assert corpus.genetic_codes == {"plants": 11, "vertebrates": 2}
    shown = {each.name: (each.value, each.origin) for section in (settings, corpus) for each in section.shown()}
    assert shown["ks"] == ("1,4,12", "OPENGENOME_KS")
    assert shown["genetic_codes"] == ("plants=11,vertebrates=2", "OPENGENOME_GENETIC_CODES")
    assert shown["home"] == ("s3://bucket/corpus", "OPENGENOME_HOME")


def test_an_empty_variable_counts_as_unset():
    for empty in ("", "  "):
        blank = dict.fromkeys(("OPENGENOME_HOME", "OPENGENOME_KS", "SPARK_MASTER", "OPENGENOME_GENETIC_CODES"), empty)
        assert groups.read_settings(blank) == groups.read_settings({})


def test_what_the_caller_gives_is_not_mixed_with_the_environment(monkeypatch):
    monkeypatch.setenv("OPENGENOME_KS", "3")
    monkeypatch.setenv("SPARK_MASTER", "spark://nowhere:1")
    assert CorpusSettings().ks == (6, 7, 8)
    assert Settings(home="/h").spark_master == "local[*]"


def test_settings_reach_every_asset_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("OPENGENOME_KS", "3")
    monkeypatch.setenv("OPENGENOME_HOME", "/nowhere")
    given = Settings(home="/h").with_sections([CorpusSettings(ks=[4])])
    names = {key.to_user_string() for key in build_defs(given).resolve_asset_graph().get_all_asset_keys()}
    assert {name for name in names if name.startswith("kmer_freq")} == {"kmer_freq_k4"}


@pytest.mark.long
def test_no_asset_looks_at_the_environment(tmp_path, monkeypatch, corpus):
    made = corpus({"plants/a.fa": ">a\nACGTACGTACGT\n"})
    for variable in ("OPENGENOME_SOURCE", "OPENGENOME_HOME", "OPENGENOME_QUERIES"):
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("OPENGENOME_GENETIC_CODES", "plants=11")
    made.materialize("raw_fasta,rejected_records,sequence_shards,codon_counts,genes,gene_codons,codon_rscu")
    codes = {row["genetic_code"] for row in made.home.table("codon_rscu").read().to_pylist()}
    assert codes == {1}


@pytest.mark.parametrize("ks", ["0", "13", "6;7", "six", "6,,7"])
def test_a_list_of_k_that_cannot_be_used_is_refused(ks):
    with pytest.raises(SettingsError, match=r"OPENGENOME_KS.*1 to 12"):
        groups.read_settings({"OPENGENOME_KS": ks})


@pytest.mark.parametrize(
    "codes", ["plastids", "plastids=", "=11", "plastids=eleven", "plastids=²", "plastids=\u0661", f"a={'1' * 5000}"]
)
def test_genetic_codes_that_cannot_be_used_are_refused(codes):
    with pytest.raises(SettingsError, match=r"SOURCE=TABLE"):
        groups.read_settings({"OPENGENOME_GENETIC_CODES": codes})


def test_an_engine_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(SettingsError, match=r"OPENGENOME_ENGINE is 'threads': .*'spark' or 'processes'"):
        groups.read_settings({"OPENGENOME_ENGINE": "threads"})


@pytest.mark.parametrize("variable", ["OPENGENOME_HOME", "OPENGENOME_SOURCE", "OPENGENOME_QUERIES"])
def test_a_name_longer_than_files_can_have_is_refused(variable):
    with pytest.raises(SettingsError, match=rf"{variable} holds a name of 256 bytes, éé.*at most 255"):
        groups.read_settings({variable: f"/genomes,/data/{'é' * 128}/corpus"})
    groups.read_settings({variable: f"/data/{'é' * 127}/{'x' * 255}"})


def test_the_home_can_be_read_whatever_the_other_settings_are():
    assert read_home({"OPENGENOME_KS": "none", "OPENGENOME_HOME": "/h"}) == "/h"
    assert HomeSettings(home="~/x").home.endswith("/x")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("SOURC", "SOURCE"), ("SAMPLE", "SAMPLES"), ("PROTEIN", "PROTEINS"), ("GENETIC_CODE", "GENETIC_CODES"), ("K", "")],
)
def test_a_misspelled_variable_is_told_with_the_one_that_is_meant(name, meant, monkeypatch, tmp_path):
    expected = {f"OPENGENOME_{name}": f"OPENGENOME_{meant}"} if meant else {}
    assert groups.misspelled({f"OPENGENOME_{name}": "x", "OPENGENOME_SOURCE": "y", "SOURC": "z"}) == expected
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path))
    monkeypatch.setenv(f"OPENGENOME_{name}", "x")
    said = CliRunner().invoke(main, ["info"]).output
    assert (f"OPENGENOME_{name} is no setting, and is not read. Is OPENGENOME_{meant} meant?" in said) == bool(meant)


def test_no_variable_that_something_reads_counts_as_misspelled():
    """Of the package, the cluster and the docs."""
    files = [path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.*")]
    texts = [path.read_text() for path in [*files, REPOSITORY / "docker-compose.yml"] if path.suffix in TEXT]
    read = {name for text in texts for name in re.findall(r"\bOPENGENOME_[A-Z_]+[A-Z]\b", text)}
    assert len(read) > 60
    assert groups.misspelled(dict.fromkeys(read, "x")) == {}
