"""Commands that run until they are stopped: ``serve``, the search server, and ``ui``, Dagster's pages beside it.

Belongs here: starting and ending servers. Does not belong here: answering requests (``service``).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click

from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.terminal import setting_errors

HOST = "127.0.0.1"

# Seconds to end: for requests under way, and for a whole server before it is killed.
REQUESTS_GRACE = 5
GRACE = 15

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": logging.INFO, "propagate": False}
        for name in ("opengenome.search", "uvicorn")
    },
}


@click.command()
@click.option("--host", default=HOST, show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=3001, show_default=True, help="Port to listen at.")
def serve(host: str, port: int) -> None:
    """Serve the search page and the HTTP API.

    Searches the newest version of the index, also if it is made later. The environment variables OPENGENOME_SEARCH_...
    set limits, a token and the link to Dagster (docs/search.md).
    """
    settings = settings_in_use()
    import uvicorn

    from opengenome_assets.service.app import create_app
    from opengenome_assets.service.connections import configure
    from opengenome_assets.service.settings import ServerSettings

    with setting_errors():
        limits = ServerSettings.from_environment()
    app = create_app(settings, limits)
    listener = _listener(host, port, "--port")
    click.echo(f"Search page: http://{host}:{port}")
    config = configure(app, limits, log_config=LOGGING, timeout_graceful_shutdown=REQUESTS_GRACE)
    with listener, suppress(KeyboardInterrupt):  # raised again after an orderly end
        uvicorn.Server(config).run(sockets=[listener])


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Dagster's port.")
@click.option(
    "--search-port", type=click.IntRange(1, 65535), default=3001, show_default=True, help="The search's port."
)
def ui(port: int, search_port: int) -> None:
    """Serve Dagster's user interface and the search page, both until Ctrl-C."""
    settings_in_use()
    if port == search_port:
        raise click.UsageError(f"--port and --search-port are both {port}: choose another for one of them")
    for number, option in ((port, "--port"), (search_port, "--search-port")):
        _listener(HOST, number, option).close()  # Dagster would silently take another port
    dagster, search = f"http://{HOST}:{port}", f"http://{HOST}:{search_port}"
    click.echo(f"Dagster:     {dagster}\nSearch page: {search}")
    programs = Path(sys.executable).parent
    raise SystemExit(
        together(
            [f"{programs}/dagster", "dev", "--host", HOST, "--port", str(port)],
            [f"{programs}/opengenome", "serve", "--host", HOST, "--port", str(search_port)],
            environment={**os.environ, "OPENGENOME_SEARCH_DAGSTER_URL": dagster},
        )
    )


def _listener(host: str, port: int, option: str) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        remedy = f"End what listens there, or choose another port with {option}"
        raise click.ClickException(f"{host}:{port} cannot be listened at: {error}. {remedy}") from error


def together(*commands: Sequence[str], environment: Mapping[str, str], grace: int = GRACE) -> int:
    """Run commands, each in a session of its own, until one ends; then end the others.

    Ctrl-C, SIGTERM and SIGHUP are passed on to each command once. After ``grace`` seconds the rest is killed, with its
    children. Returns the exit status.
    """
    processes: list[subprocess.Popen[bytes]] = []
    asked = False

    def interrupt() -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        signal.alarm(grace)

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        interrupt()

    def kill(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    # Set first: children inherit an ignored signal, as SIGINT is in a script's background.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    signal.signal(signal.SIGALRM, kill)
    for command in commands:
        processes.append(subprocess.Popen(command, env=environment, start_new_session=True))
    if asked:
        interrupt()  # the signal came before all had started
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # until one ends; it stays waitable
    if not asked:
        interrupt()
    statuses = [process.wait() for process in processes]
    signal.alarm(0)
    return 0 if asked else max(map(abs, statuses))
