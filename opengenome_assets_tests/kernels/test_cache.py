"""Where compiled kernels are kept."""

import os
from pathlib import Path

import numba
import pytest

from opengenome_assets.kernels import cache


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()


def test_kernels_are_cached_under_the_digest() -> None:
    assert Path(numba.config.CACHE_DIR).name == cache.source_digest()


def test_the_folder_is_the_users_choice_or_the_xdg_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.cache_folder() == tmp_path / "xdg" / "opengenome-assets" / "numba" / cache.source_digest()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.cache_folder().is_relative_to(tmp_path / "home" / ".cache")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    assert cache.cache_folder() == tmp_path / "chosen" / cache.source_digest()
    assert cache.cache_folder().is_dir()


def test_the_folder_is_a_temporary_one_where_no_cache_can_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "xdg").write_text("a file where the folder should be")
    folder = cache.cache_folder()
    assert folder.is_relative_to(tmp_path / "temporary")
    assert folder.name == cache.source_digest()
    assert folder == cache.cache_folder()
    # a folder of another user must not be trusted: cached code is executed
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    private = cache.cache_folder()
    assert private.is_relative_to(tmp_path / "temporary")
    assert private != folder
    assert private.stat().st_mode & 0o077 == 0


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    (tmp_path / "xdg").write_text("")
    monkeypatch.setattr("getpass.getuser", nameless)
    assert f"opengenome-assets-{os.getuid()}" in cache.cache_folder().parts


def test_any_change_of_a_source_changes_the_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))
    digests = [cache.source_digest()]
    for content in ("a = 1", "a = 2"):
        (tmp_path / "helper.py").write_text(content)
        digests.append(cache.source_digest())
    (tmp_path / "helper.py").rename(tmp_path / "other.py")
    digests.append(cache.source_digest())
    monkeypatch.setattr(cache, "version", lambda package: "0")
    digests.append(cache.source_digest())
    assert len(set(digests)) == 5
