"""The documents: what they say of tables, settings and files is what the code says."""

import json
import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest

import opengenome_assets
from opengenome_assets.corpus.genes import GenesConfig
from opengenome_assets.corpus.jobs import PRESETS
from opengenome_assets.corpus.raw_fasta import RawFastaConfig
from opengenome_assets.corpus.sequence_shards import SequenceShardsConfig
from opengenome_assets.definitions import build_defs
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.operations.upkeep import UpkeepConfig
from opengenome_assets.search.query_hits import QueryHitsConfig
from opengenome_assets_tests.corpora import settings

ROOT = Path(__file__).parents[1]
PACKAGE = Path(opengenome_assets.__path__[0])
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_made_from_the_code_is_what_the_code_says(name):
    assert (ROOT / "docs" / name).read_text() == PAGES[name]()


@pytest.mark.parametrize("config", [RawFastaConfig, SequenceShardsConfig, GenesConfig, QueryHitsConfig])
def test_every_setting_of_a_run_is_on_the_page_of_running(config):
    page = (ROOT / "docs" / "running.md").read_text()
    assert [name for name in config.model_fields if f"| {name} |" not in page] == []


def test_every_setting_of_upkeep_is_on_its_page_with_its_default():
    page = (ROOT / "docs" / "upkeep.md").read_text()
    for name, field in UpkeepConfig.model_fields.items():
        assert f"| {name} | {json.dumps(field.default)} |" in page


def test_every_setting_of_the_cluster_is_explained_with_its_default():
    compose, example = ((ROOT / name).read_text() for name in ("docker-compose.yml", ".env.example"))
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", compose))
    explained = dict(re.findall(r"^#(\w+)=(.*)$", example, re.MULTILINE)[::-1])  # the first preset is the default
    assert {name: explained.get(name) for name in used} == {
        **used,
        "OPENGENOME_SOURCE": "sample",
        "OPENGENOME_KS": "6,7,8",
    }


def test_every_preset_is_on_the_page_of_running_and_is_a_job():
    page = (ROOT / "docs" / "running.md").read_text()
    jobs = {job.name for job in build_defs(settings("/h")).jobs or []}
    for preset in PRESETS:
        assert f"presets/{preset}.yaml" in page
        assert f"corpus_{preset}" in jobs


def test_endings_of_files_are_on_the_page_of_input():
    page = (ROOT / "docs" / "input.md").read_text()
    assert " ".join(FASTA.endings) in page
    assert " ".join(FASTA.compression_endings) in page


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_links_between_documents_lead_somewhere(page):
    folder = (ROOT / page).parent
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text())
    assert [link for link in links if "://" not in link and not (folder / link).exists()] == []


def section(page: str, title: str) -> str:
    """Return the section of a page under a heading of the second level."""
    return (ROOT / page).read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_walk_of_the_design_names_modules_that_exist_each_once():
    walk = re.findall(r"^\| `([^`]+)` \|", section("docs/design.md", "From a file to a search hit"), re.MULTILINE)
    files = [PACKAGE / (name if "/" in name else f"{name.replace('.', '/')}.py") for name in walk]
    assert [str(file) for file in files if not file.is_file()] == []
    assert len(set(walk)) == len(walk) > 20


def test_every_word_of_the_house_is_in_the_glossary():
    words = re.findall(r"^\| (\w+) \|", section("docs/design.md", "Glossary"), re.MULTILINE)
    house = "home part manifest pack seal unit shard making basis catalogue snapshot group"
    assert sorted(words) == sorted(["word", *house.split()])


def test_every_room_is_named_in_the_design():
    built = section("docs/design.md", "Rooms")
    rooms = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    named = re.findall(r"^  (\S+)  +\S", built, re.MULTILINE)
    assert sorted(named) == sorted(rooms | modules)


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_modules_that_a_page_imports_exist(page):
    text = (ROOT / page).read_text()
    imports = re.findall(r"from (opengenome_assets[\w.]*) import ([\w, ]+)", text)
    missing = [
        f"{module}.{name.strip()}"
        for module, names in imports
        for name in names.split(",")
        if not hasattr(import_module(module), name.strip())
    ]
    assert missing == []
