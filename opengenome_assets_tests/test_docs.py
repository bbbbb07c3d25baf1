"""The documents: what they say of tables, settings and files is what the code says."""

import json
import re
import runpy
from pathlib import Path

import pytest

from opengenome_assets import groups
from opengenome_assets.corpus.codons import CodonRscuConfig
from opengenome_assets.corpus.jobs import PRESETS
from opengenome_assets.corpus.raw_fasta import RawFastaConfig
from opengenome_assets.corpus.sequence_shards import SequenceShardsConfig
from opengenome_assets.definitions import build_defs
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.operations.upkeep import UpkeepConfig
from opengenome_assets.search.query_hits import QueryHitsConfig
from opengenome_assets.settings import Settings
from opengenome_assets_tests.corpora import settings

ROOT = Path(__file__).parents[1]
PAGES = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_made_from_the_code_is_what_the_code_says(name):
    assert (ROOT / "docs" / name).read_text() == PAGES[name]()


@pytest.mark.parametrize("config", [RawFastaConfig, SequenceShardsConfig, CodonRscuConfig, QueryHitsConfig])
def test_every_setting_of_a_run_is_on_the_page_of_running(config):
    page = (ROOT / "docs" / "running.md").read_text()
    assert [name for name in config.model_fields if f"| {name} |" not in page] == []


def test_every_setting_of_upkeep_is_on_its_page_with_its_default():
    page = (ROOT / "docs" / "upkeep.md").read_text()
    for name, field in UpkeepConfig.model_fields.items():
        assert f"| {name} | {json.dumps(field.default)} |" in page


def test_every_variable_of_a_group_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    sections = [Settings, *(group.settings for group in groups.GROUPS)]
    variables = [variable for section in sections for variable in section.variables().values()]
    assert [variable for variable in variables if f"`{variable}`" not in readme] == []


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
