"""The settings: defaults, environment, and what is said of values that cannot be used."""

import pytest

from opengenome_assets.settings import Settings, SettingsError


def test_defaults_need_nothing_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    assert settings.home == str(tmp_path / "data")
    assert (settings.source, settings.queries) == ("sample", "")
    assert (settings.spark_master, settings.ks) == ("local[*]", (6, 7, 8))
    assert settings.genetic_codes == {}
    assert set(settings.origins.values()) == {"default"}


def test_every_variable_is_read_and_remembered():
    settings = Settings.from_environment(
        {
            "OPENGENOME_HOME": "s3://bucket/corpus",
            "OPENGENOME_SOURCE": "/genomes",
            "OPENGENOME_QUERIES": "/queries.fa",
            "SPARK_MASTER": "spark://host:7077",
            "OPENGENOME_KS": "12, 1,4,4",
            "OPENGENOME_GENETIC_CODES": "plants=11, vertebrates=2",
        }
    )
    assert settings.home == "s3://bucket/corpus"
    assert (settings.source, settings.queries) == ("/genomes", "/queries.fa")
    assert settings.ks == (1, 4, 12)
    assert settings.genetic_codes == {"plants": 11, "vertebrates": 2}
    assert settings.origins["ks"] == "OPENGENOME_KS"


def test_an_empty_variable_counts_as_unset():
    for empty in ("", "  "):
        blank = dict.fromkeys(("OPENGENOME_HOME", "OPENGENOME_KS", "SPARK_MASTER", "OPENGENOME_GENETIC_CODES"), empty)
        assert Settings.from_environment(blank) == Settings.from_environment({})


@pytest.mark.parametrize("ks", ["0", "13", "6;7", "six", "6,,7"])
def test_a_list_of_k_that_cannot_be_used_is_refused(ks):
    with pytest.raises(SettingsError, match=r"OPENGENOME_KS.*1 to 12"):
        Settings.from_environment({"OPENGENOME_KS": ks})


@pytest.mark.parametrize(
    "codes", ["plastids", "plastids=", "=11", "plastids=eleven", "plastids=²", "plastids=\u0661", f"a={'1' * 5000}"]
)
def test_genetic_codes_that_cannot_be_used_are_refused(codes):
    with pytest.raises(SettingsError, match=r"SOURCE=TABLE"):
        Settings.from_environment({"OPENGENOME_GENETIC_CODES": codes})


@pytest.mark.parametrize("variable", ["OPENGENOME_HOME", "OPENGENOME_SOURCE", "OPENGENOME_QUERIES"])
def test_a_name_longer_than_files_can_have_is_refused(variable):
    with pytest.raises(SettingsError, match=rf"{variable} holds a name of 256 bytes, éé.*at most 255"):
        Settings.from_environment({variable: f"/genomes,/data/{'é' * 128}/corpus"})
    Settings.from_environment({variable: f"/data/{'é' * 127}/{'x' * 255}"})
