"""The project's habits: licence, versions, changelog, citation, decisions and workflows agree with the package."""

import hashlib
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from opengenome_assets import __version__

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DECISIONS = ROOT / "docs" / "decisions"

# Jobs of workflows that may write, and what.
MAY_WRITE = {
    "image": {"packages"},
    "publish": {"packages"},
    "release": {"contents"},
    "pypi": {"id-token"},
    "pages": {"pages", "id-token"},
}

# Of https://www.apache.org/licenses/LICENSE-2.0.txt.
APACHE_2_0 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def text(name: str) -> str:
    return (ROOT / name).read_text()


def releases() -> list[tuple[str, str, str]]:
    """Return version, day and text of each entry of the changelog, newest first."""
    entries = re.split(r"^## ", text("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    headings = [re.match(r"\[(\d+\.\d+\.\d+)\] - (\S+)\n", entry) for entry in entries]
    assert all(headings), "a heading is no version with its day"
    return [(heading[1], heading[2], entry) for heading, entry in zip(headings, entries, strict=True) if heading]


def test_the_licence_is_the_unmodified_text_of_apache_2_0() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2_0
    assert (PROJECT["license"], PROJECT["license-files"]) == ("Apache-2.0", ["LICENSE", "NOTICE"])


def test_the_notice_names_what_is_gpl_and_every_folder_of_data() -> None:
    notice = " ".join(text("NOTICE").split())
    bound = re.findall(r"^\| (\S+) \| .*\bGPL-3", text("docs/licences.md"), re.MULTILINE)
    assert bound
    assert all(name in notice for name in bound)
    for folder in ("corpus/sample", "proteins/sample", "variants/sample"):
        assert (ROOT / "opengenome_assets" / folder / "README.md").is_file()
        assert f"opengenome_assets/{folder}" in notice


def test_the_image_is_built_with_all_that_the_package_metadata_names() -> None:
    named = {*PROJECT["license-files"], PROJECT["readme"]}
    copied = {word for line in re.findall(r"^COPY (.+) \./$", text("docker/Dockerfile"), re.M) for word in line.split()}
    let_in = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert named <= copied
    assert named <= let_in


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == __version__
    assert yaml.safe_load(text("CITATION.cff"))["version"] == __version__
    assert f"OPENGENOME_IMAGE=opengenome-assets:{__version__}\n" in text(".env.production")


def test_the_newest_entry_of_the_changelog_is_the_version() -> None:
    assert releases()[0][0] == __version__


def test_entries_of_the_changelog_stand_from_the_newest_to_the_oldest_with_a_link_each() -> None:
    versions = [tuple(map(int, version.split("."))) for version, _, _ in releases()]
    days = [date.fromisoformat(day) for _, day, _ in releases()]
    assert versions == sorted(set(versions), reverse=True)
    assert days == sorted(days, reverse=True)
    assert [version for version, _, _ in releases() if f"\n[{version}]: https://" not in text("CHANGELOG.md")] == []


def test_the_changelog_uses_the_headings_of_its_form() -> None:
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Rows computed again"}
    assert set(re.findall(r"^### (.+)$", text("CHANGELOG.md"), re.MULTILINE)) <= allowed


def test_the_citation_has_what_its_format_requires() -> None:
    citation = yaml.safe_load(text("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]


def test_addresses_of_the_project_are_of_one_repository() -> None:
    repository = PROJECT["urls"]["Repository"]
    assert all(address.startswith(repository) for address in PROJECT["urls"].values())
    assert f"{repository}/releases/tag/" in text("CHANGELOG.md")


def test_type_checkers_find_the_annotations() -> None:
    setuptools = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]
    assert "py.typed" in setuptools["package-data"]["opengenome_assets"]
    assert (ROOT / "opengenome_assets" / "py.typed").read_bytes() == b""


def test_every_decision_is_listed_and_says_when_it_ends() -> None:
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| .+ \|$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in listed] == list(range(1, len(listed) + 1))
    assert all(name.startswith(f"{number}-") for number, name in listed)
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert {page.name for page in pages} <= {name for _, name in listed}
    for page in pages:
        headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
        assert headings[0].startswith(f"{page.name[:4]}: "), page.name
        assert headings[1:4] == ["Context", "Decision", "Consequences"], page.name
        assert headings[-1].startswith("When "), page.name


@pytest.mark.parametrize(
    "page",
    [*ROOT.glob("*.md"), *DECISIONS.glob("[0-9]*.md")],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_of_pages_about_the_project_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_the_least_rights_pinned_actions_and_limits(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        writes = {right for right, kind in job.get("permissions", {}).items() if kind != "read"}
        assert writes == MAY_WRITE.get(name, set()), name
        if "uses" in job:  # another workflow of this repository, with limits of its own
            assert (ROOT / job["uses"]).is_file()
            continue
        assert job["timeout-minutes"] <= 60, name
        assert "latest" not in job["runs-on"], name
        for step in job["steps"]:
            action = step.get("uses", "@v0")
            assert re.fullmatch(r"\S*@(v\d+(\.\d+)*|release/v\d+|[0-9a-f]{40})", action), action
            if action.startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False, name


def test_nothing_is_published_before_the_tests_have_passed() -> None:
    jobs = yaml.safe_load(text(".github/workflows/release.yml"))["jobs"]
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert [name for name in MAY_WRITE if name in jobs and "tests" not in jobs[name]["needs"]] == []
    image = yaml.safe_load(text(".github/workflows/image.yml"))
    assert image["jobs"]["publish"]["if"] == "github.ref_type == 'tag'"
    assert image[True].keys() == {"push", "pull_request", "workflow_call"}  # YAML reads the key `on` as true
    assert image[True]["push"] == {"branches": ["main"]}


def test_workflows_call_targets_of_the_makefile() -> None:
    called = {target for path in WORKFLOWS for target in re.findall(r"run: make ([a-z-]+)", path.read_text())}
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert called == {"build", "site", "test", "test-compose", "test-wheel"}
    assert called | {"quick"} <= targets


def test_the_workflow_of_tests_installs_what_the_ci_script_needs() -> None:
    needed = set(re.findall(r"^need (\S+) ", text(".ci/run"), re.MULTILINE))
    steps = yaml.safe_load(text(".github/workflows/tests.yml"))["jobs"]["test"]["steps"]
    assert needed <= set(steps[0]["run"].split())


def test_hooks_of_a_commit_need_no_network() -> None:
    config = yaml.safe_load(text(".pre-commit-config.yaml"))
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert "make quick" in [hook["entry"] for hook in hooks]
