"""``ui``: both servers start where they are said to be, or not at all, and end when they are asked to."""

import os
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from opengenome_assets.cli import main
from opengenome_assets_tests.processes import free_port, processes_of, started, wait_for

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("option", ["--port", "--search-port"])
def test_a_port_that_is_taken_stops_both_before_they_start(option: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        ports = {"--port": str(free_port()), "--search-port": str(free_port()), option: str(taken)}
        arguments = [word for pair in ports.items() for word in pair]
        result = CliRunner(env={"OPENGENOME_HOME": str(tmp_path)}).invoke(main, ["ui", *arguments])
    assert result.exit_code == 1
    assert f"127.0.0.1:{taken} cannot be listened at" in result.output
    assert f"choose another port with {option}\n" in result.output
    assert "Dagster:" not in result.output


def test_one_port_is_not_enough_for_two() -> None:
    result = CliRunner().invoke(main, ["ui", "--port", "3001"])
    assert result.exit_code == 2
    assert "--port and --search-port are both 3001" in result.output


@pytest.mark.timeout(240)
def test_in_the_background_of_a_script_it_ends_when_it_is_terminated(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert shell.poll() is None, Path(f"{home}.log").read_text()
        try:
            with urllib.request.urlopen(f"{url}/server_info", timeout=5):
                return True
        except OSError:
            return False

    # A shell starts what stands in the background with SIGINT ignored.
    line = f'opengenome ui --port {port} --search-port {free_port()} & echo $! > "{home}.pid"; wait $!'
    with started(["sh", "-c", line], home) as shell:
        wait_for(answers, "answer of the web server")
        os.kill(int(Path(f"{home}.pid").read_text()), signal.SIGTERM)
        assert shell.wait(60) == 0
        wait_for(lambda: not processes_of(home), "end of everything that was started", 30)


def test_what_does_not_end_when_asked_is_killed_with_what_it_started(tmp_path: Path) -> None:
    home = tmp_path / "home"
    stubborn = f"trap '' INT; sleep 600 & touch {tmp_path}/ready; wait"
    program = (
        "import os; from opengenome_assets.cli.processes import together; "
        f"raise SystemExit(together(['sh', '-c', {stubborn!r}], ['sleep', '600'], environment=os.environ, grace=1))"
    )
    with started([sys.executable, "-c", program], home) as process:
        wait_for((tmp_path / "ready").exists, "start", 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        wait_for(lambda: not processes_of(home), "end of everything that was started", 30)
