"""Fixtures that every test may use."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], str]:
    """Path of an outside program; without it the test fails where tools are required, else it is skipped.

    They are required when CI=true or OPENGENOME_REQUIRE_TOOLS=1. The package is named where it is called
    otherwise than the program.
    """
    packages = {"cusp": "emboss", "fuzznuc": "emboss"}
    required = os.environ.get("CI") == "true" or os.environ.get("OPENGENOME_REQUIRE_TOOLS") == "1"

    def find(name: str) -> str:
        if path := shutil.which(name):
            return path
        remedy = f"{name} not found: apt-get install -y {packages.get(name, name)}"
        if required:
            pytest.fail(remedy)
        pytest.skip(remedy)

    return find


# No longer than a module: while it is there, no other event loop can run.
@pytest.fixture(scope="module")
def chromium(tool: Callable[[str], str]) -> Iterator[Browser]:
    """Headless Chromium."""
    path = tool("chromium")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=path, args=FLAGS) as launched:
        yield launched
