"""The server's settings, from environment variables."""

from pathlib import Path

import pytest

from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import SettingsError


def test_defaults_hold_where_nothing_is_set() -> None:
    assert ServerSettings.from_environment({"OPENGENOME_SEARCH_MAX_HITS": " "}) == ServerSettings()


def test_every_number_has_a_variable(tmp_path: Path) -> None:
    names = ["max_body_bytes", "max_queries", "max_bases", "max_hits", "max_comparisons"]
    names += ["requests_per_minute", "requests_at_once"]
    env = {f"OPENGENOME_SEARCH_{name.upper()}": str(number) for number, name in enumerate(names, 1)}
    settings = ServerSettings.from_environment({**env, "OPENGENOME_SEARCH_DAGSTER_URL": "https://host/dagster"})
    assert ServerSettings.from_environment({"OPENGENOME_SEARCH_DAGSTER_URL": "../"}).dagster_url == "../"
    expected = ServerSettings(**dict(zip(names, range(1, 8), strict=True)), dagster_url="https://host/dagster")
    assert settings.model_dump() == expected.model_dump()
    assert ServerSettings.from_environment({"OPENGENOME_SEARCH_REQUESTS_PER_MINUTE": "0"}).requests_per_minute == 0


def test_the_token_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-a-file\n")
    path = {"OPENGENOME_SEARCH_TOKEN_PATH": str(file)}
    assert ServerSettings.from_environment(path).token == "from-a-file"
    assert ServerSettings.from_environment({**path, "OPENGENOME_SEARCH_TOKEN": "set"}).token == "set"
    file.write_text("")
    assert ServerSettings.from_environment(path).token == ""


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MAX_HITS", "many", "OPENGENOME_SEARCH_MAX_HITS is 'many': expected a whole number from 1"),
        ("MAX_HITS", "0", "from 1"),
        ("REQUESTS_PER_MINUTE", "-1", "from 0"),
        ("TOKEN_PATH", "/nowhere/token", "OPENGENOME_SEARCH_TOKEN_PATH names /nowhere/token"),
        ("DAGSTER_URL", "javascript:alert(1)", "expected an address"),
        ("HOSTS", "here, http://there", "has 'http://there': expected names without ports"),
        ("PROXIES", "10.0.0.0/8, nginx", "has 'nginx': expected addresses and networks"),
    ],
)
def test_what_cannot_be_used_is_refused(variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace("(", r"\(")):
        ServerSettings.from_environment({f"OPENGENOME_SEARCH_{variable}": value})


def test_a_token_that_cannot_be_one_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refusal:
        ServerSettings.from_environment({"OPENGENOME_SEARCH_TOKEN": "two words"})
    assert "two words" not in str(refusal.value)
