"""Compose takes the cluster's file with each overlay. It needs no engine for that."""

import ast
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets_tests.processes import REPOSITORY

OVERLAYS = sorted(path.name for path in (REPOSITORY / "docker").glob("compose.*.yml"))

pytestmark = pytest.mark.peer


# An overlay that comes after another.
AFTER = {"compose.single-sign-on.yml": ["compose.proxy.yml"]}


def config(tool: Callable[[str], str], *overlays: str, **settings: str) -> dict[str, Any]:
    files = ["docker-compose.yml", *(f"docker/{each}" for each in overlays)]
    answer = subprocess.run(
        [
            tool("docker"),
            "compose",
            *(word for each in files for word in ("--file", each)),
            "config",
            "--format",
            "json",
        ],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **settings},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)["services"]
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_valid(overlay: str, tool: Callable[[str], str], tmp_path: Path) -> None:
    services = config(
        tool,
        *AFTER.get(overlay, []),
        overlay,
        OPENGENOME_FOLDER=str(tmp_path),
        OPENGENOME_HOME="s3://bucket/home",
        AWS_ENDPOINT_URL="https://store.example.org",
        OPENGENOME_SEARCH_ISSUER="https://accounts.example.org",
        OPENGENOME_SEARCH_AUDIENCE="genomes",
    )
    assert {"postgres", "dagster-daemon", "metrics"} <= set(services)


def test_one_setting_reaches_every_service_of_the_image(tool: Callable[[str], str]) -> None:
    services = config(tool, "compose.monitoring.yml", OPENGENOME_LOG_FORMAT="json")
    ours = {name: each for name, each in services.items() if "opengenome" in each["image"]}
    assert len(ours) == 7
    assert {each["environment"].get("OPENGENOME_LOG_FORMAT") for each in ours.values()} == {"json"}
    named = {name for name, each in ours.items() if each["environment"].get("OPENGENOME_SERVICE") == name}
    assert named == set(ours) - {"search", "metrics"}  # these name themselves


def test_a_slow_start_is_no_failure(tool: Callable[[str], str]) -> None:
    for name, service in config(tool).items():
        assert service["healthcheck"]["start_period"] == "5m0s", name


def test_health_checks_import_neither_dagster_nor_spark() -> None:
    tree = ast.parse((REPOSITORY / "docker" / "healthcheck.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert "psycopg2" in names
    assert not {name.partition(".")[0] for name in names} & {"dagster", "opengenome_assets", "pyspark"}


def test_every_service_of_ours_has_the_cheap_health_check(tool: Callable[[str], str]) -> None:
    for name, service in config(tool).items():
        if "opengenome" in service["image"]:
            assert service["healthcheck"]["test"][1:3] == ["python", "/opt/opengenome/docker/healthcheck.py"], name


def test_the_server_of_jobs_can_write_them(tool: Callable[[str], str]) -> None:
    for overlays in ([], ["compose.proxy.yml"]):
        (home,) = [each for each in config(tool, *overlays)["search"]["volumes"] if each["target"] == "/data"]
        assert not home.get("read_only"), overlays


def test_single_sign_on_takes_the_place_of_passwords(tool: Callable[[str], str]) -> None:
    settings = {"OPENGENOME_SEARCH_ISSUER": "https://accounts.example.org", "OPENGENOME_SEARCH_AUDIENCE": "genomes"}
    services = config(tool, "compose.proxy.yml", "compose.single-sign-on.yml", **settings)
    assert services["proxy"]["build"]["target"] == "single-sign-on"
    assert {each["source"] for each in services["proxy"]["secrets"]} == {"tls_certificate", "tls_key", "single_sign_on"}
    for name in ("proxy", "search"):
        assert settings.items() <= services[name]["environment"].items()
