"""Draft figures and shared things: what the suite itself relies on."""

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from opengenome_assets.framework import figures
from opengenome_assets.plots import images
from opengenome_assets_tests import drafts
from opengenome_assets_tests.drafts import draft_png, draft_svg
from opengenome_assets_tests.processes import environment
from opengenome_assets_tests.shared import once


def figure(height: float, word: str = "") -> Figure:
    drawn = Figure()
    drawn.add_subplot().bar([0, 1], [1, height])
    drawn.text(0, 0, word)
    return drawn


def test_a_draft_is_the_same_for_the_same_data_and_another_for_other_data_or_words() -> None:
    for draft in (draft_png, draft_svg):
        assert draft(figure(2)) == draft(figure(2))
        assert len({draft(figure(2)), draft(figure(3)), draft(figure(2, "more"))}) == 3


def test_a_draft_passes_for_a_picture() -> None:
    assert not images.ink(draft_png(figure(2))).is_blank


def test_figures_are_saved_as_drafts() -> None:
    assert figures.encode is drafts.draft


@pytest.mark.pictures
def test_figures_are_rendered_for_tests_that_look_at_them() -> None:
    assert figures.encode is drafts.ENCODE


def test_a_shared_thing_is_made_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    made: list[Path] = []

    def make(folder: Path) -> int:
        made.append(folder)
        return 7

    name = f"once-{id(made)}"
    assert [once(tmp_path_factory, name, make) for _ in range(2)] == [7, 7]
    assert len(made) == 1


def test_commands_run_without_the_libraries_of_the_tests(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import scipy"]
    answer = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True)
    assert "SciPy is no dependency" in answer.stderr
