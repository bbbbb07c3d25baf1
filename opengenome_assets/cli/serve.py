"""Commands that stay: ``serve``, the search server, and ``ui``, that server beside Dagster's user interface.

Does not belong here: what the server does (``search/server``).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click

from opengenome_assets.cli.forms import setting_errors, settings_in_use

HOST = "127.0.0.1"

# What requests under way are given to end in when the server shall end.
GRACE_SECONDS = 5

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

    Searches the newest version of the index, also when it is made later. Limits, a token and the link to Dagster are
    set by environment variables, OPENGENOME_SEARCH_... (docs/search.md).
    """
    settings = settings_in_use()
    import uvicorn

    from opengenome_assets.search.server.app import create_app
    from opengenome_assets.search.server.settings import ServerSettings

    with setting_errors():
        app = create_app(settings, ServerSettings.from_environment())
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        remedy = "End what listens there, or choose another port with --port"
        raise click.ClickException(f"{host}:{port} cannot be listened at: {error}. {remedy}") from error
    click.echo(f"Search page: http://{host}:{port}")
    config = uvicorn.Config(
        app, log_config=LOGGING, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_SECONDS
    )
    with listener, suppress(KeyboardInterrupt):  # which comes after it has ended in order
        uvicorn.Server(config).run(sockets=[listener])


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Dagster's port.")
@click.option("--search-port", type=click.IntRange(1, 65535), default=3001, show_default=True, help="The search's.")
def ui(port: int, search_port: int) -> None:
    """Serve Dagster's user interface and the search page, both until Ctrl-C."""
    settings_in_use()
    dagster, search = f"http://{HOST}:{port}", f"http://{HOST}:{search_port}"
    click.echo(f"Dagster:     {dagster}\nSearch page: {search}")
    programs = Path(sys.executable).parent
    with_link = {**os.environ, "OPENGENOME_SEARCH_DAGSTER_URL": dagster}
    raise SystemExit(
        _together(
            subprocess.Popen(
                [programs / "dagster", "dev", "--host", HOST, "--port", str(port)], start_new_session=True
            ),
            subprocess.Popen(
                [programs / "opengenome", "serve", "--host", HOST, "--port", str(search_port)],
                env=with_link,
                start_new_session=True,
            ),
        )
    )


def _together(*processes: subprocess.Popen[bytes]) -> int:
    """Wait for processes, each in a session of its own, none of which shall stay when another ends.

    A Ctrl-C, and what else would end this process, is passed on to each of them once. Returns the exit status.
    """
    asked = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        _interrupt(processes)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # the first of them, which is left to be waited for
    if not asked:
        _interrupt(processes)
    statuses = [process.wait() for process in processes]
    return 0 if asked else max(map(abs, statuses))


def _interrupt(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
