"""Each line of docs/jobs.md is run: in a shell, with curl, and in Python."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from opengenome_assets_tests.processes import REPOSITORY, environment
from opengenome_assets_tests.service.conftest import running

PAGE = (REPOSITORY / "docs" / "jobs.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_line_of_the_tutorial_does_what_the_page_says(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "opengenome_assets").symlink_to(REPOSITORY / "opengenome_assets")  # the folder that the page names
    with running(home, ready=False, OPENGENOME_SEARCH_REQUESTS_PER_MINUTE="0") as server:

        def run(arguments: list[str]) -> str:
            answer = subprocess.run(
                arguments, cwd=tmp_path, env=environment(home), capture_output=True, text=True, timeout=500
            )
            assert answer.returncode == 0, f"{arguments[-1]}\n{answer.stdout}\n{answer.stderr}"
            return answer.stdout

        command_line, samples, *http = blocks("sh")
        said = run(["sh", "-ec", command_line])
        assert "state  done" in said
        assert "nfsA_K141STOP" in said
        assert (tmp_path / "calls.tsv").read_text().count("\n") == 4
        assert (tmp_path / "calls.parquet").read_bytes()[:4] == b"PAR1"
        said = run(["sh", "-ec", samples])
        assert said.count("HG03478") > 10
        assert "\tHG03478\tHG03706\n" in (tmp_path / "calls.vcf").read_text()
        said = run(["sh", "-ec", "".join(http).replace("http://127.0.0.1:3001", server.url)])
        assert 'event: status\ndata: {"id":' in said
        assert said.count('"state":"done"') >= 3
        (python,) = blocks("python")
        said = run([sys.executable, "-c", python.replace("http://127.0.0.1:3001", server.url)])
        assert "isolate nfsA K141* NITROFURAN" in said
        assert "absent" in said
        # The same job each time: it was done once.
        for command in ("status", f"status --server {server.url}"):
            assert run(["sh", "-c", f"opengenome {command}"]).count("done") == 3
