"""The words of progress."""

import time

import pytest

from opengenome_assets.engine.progress import Progress


@pytest.mark.parametrize(
    ("units", "done", "words"),
    [
        (0, 0, "counting: 0 of 2 units, 0 of 1,000 bases, 0 bases/s (10.0 s so far)"),
        (1, 500, "counting: 1 of 2 units, 500 of 1,000 bases, 50 bases/s, about 10 s left (10.0 s so far)"),
        (2, 1000, "counting: 2 of 2 units, 1,000 of 1,000 bases, 100 bases/s in 10.0 s"),
    ],
)
def test_progress_in_words(monkeypatch, units, done, words):
    monkeypatch.setattr(time, "monotonic", lambda: 110.0)
    assert Progress("counting", [500, 500], "bases", 100.0).words(units, done) == words


def test_units_without_weight_are_done_when_all_are():
    assert "0 of 0 bases, 0 bases/s (" in Progress("counting", [0, 0], "bases").words(1, 0)
    assert "2 of 2 units, 0 of 0 bases, 0 bases/s in 0.0 s" in Progress("counting", [0, 0], "bases").words(2, 0)
