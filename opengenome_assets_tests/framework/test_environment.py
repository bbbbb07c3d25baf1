"""What runs: commit, modules and libraries, as they are found out."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opengenome_assets.framework import environment

ASK = "from opengenome_assets.framework import environment; print(environment.commit())"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package's first files, in a folder of its own."""
    package = tmp_path / "opengenome_assets"
    package.mkdir()
    for name in ("__init__.py", "framework/__init__.py", "framework/environment.py"):
        (package / name).parent.mkdir(exist_ok=True)
        shutil.copy(environment.PACKAGE / name, package / name)
    (tmp_path / ".gitignore").write_text("__pycache__\n")
    return tmp_path


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit_of(folder: Path, **variables: str) -> str:
    variables = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), **variables}
    command = [sys.executable, "-c", ASK]
    return subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.long
def test_the_commit_is_that_of_the_checkout_and_says_whether_files_differ(copy):
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "--message", "first")
    head = git(copy, "rev-parse", "HEAD")
    assert commit_of(copy) == head
    with (copy / "opengenome_assets" / "__init__.py").open("a") as file:
        file.write("# more\n")
    assert commit_of(copy) == f"{head}+changes"


def test_without_git_there_is_no_commit_and_no_failure(copy):
    git(copy, "init", "--quiet")
    assert commit_of(copy, PATH="/nowhere") == ""


def test_outside_of_a_checkout_the_environment_tells_the_commit_even_inside_another_project(copy):
    git(copy.parent, "init", "--quiet")
    assert commit_of(copy) == ""
    assert commit_of(copy, OPENGENOME_COMMIT="abc") == "abc"


def test_modules_are_what_computes_a_result_and_nothing_that_stores_it():
    found = environment.modules("opengenome_assets.corpus.passes.kmers")
    assert {"corpus.passes.kmers", "kernels.kmers", "kernels.bases", "kernels.runs"} == set(found)
    assert all(len(digest) == environment.DIGITS for digest in found.values())


def test_modules_named_by_their_room_are_found():
    assert "corpus.plots.kmers" in environment.modules("opengenome_assets.corpus.figures")
    assert {"variants.plots.samples", "plots.report_pdf", "plots.style"} <= set(
        environment.modules("opengenome_assets.variants.report")
    )


def test_changed_and_lost_modules_are_named():
    found = environment.modules("opengenome_assets.corpus.passes.kmers")
    assert environment.changed_modules(found) == []
    assert environment.changed_modules(found | {"kernels.kmers": "0" * 16, "kernels.gone": "1"}) == [
        "kernels.kmers",
        "kernels.gone",
    ]


def test_comments_layout_docstrings_and_imports_are_no_change_and_code_is(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)
    module = tmp_path / "kernels" / "one.py"
    module.parent.mkdir()

    def digest(text: str) -> str:
        module.write_text(text)
        environment.modules.cache_clear()
        environment._parse.cache_clear()
        return environment.modules("kernels.one")["kernels.one"]

    assert digest("x = 1\n") == digest("# words\nx  =  1\n") != digest("x = 2\n")
    assert digest("x = 1\n") == digest('"""Words."""\nimport os\nfrom os import path\nx = 1\n')
    environment.modules.cache_clear()
    environment._parse.cache_clear()


def test_libraries_have_versions():
    found = environment.libraries()
    assert found["python"] == platform.python_version()
    assert all(found.values())


@pytest.mark.parametrize(
    ("version", "comparable"), [("0.1.0", False), ("0.2.0", True), ("0.10.1", True), ("1.0.0", True)]
)
def test_digests_of_older_packages_are_not_compared(version, comparable):
    assert environment.is_comparable(version) is comparable
