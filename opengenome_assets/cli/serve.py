"""Commands that run until they are stopped: ``serve``, the search server, ``metrics``, the exporter, and ``ui``.

Belongs here: starting and ending servers. Does not belong here: answering requests (``service``).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress

import click

from opengenome_assets import groups
from opengenome_assets.cli.platform import settings_in_use
from opengenome_assets.cli.processes import MODULE, dagster_environment, program, together
from opengenome_assets.logs import logging_config
from opengenome_assets.terminal import setting_errors

HOST = "127.0.0.1"

REQUESTS_GRACE = 5  # seconds for requests under way to end

LOGGERS = ("opengenome.metrics", "opengenome.messages", "uvicorn")

# Of Dagster: a line for each look of a sensor would hide the warnings.
WARNINGS_ONLY = ("--log-level", "warning")


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
    from opengenome_assets.service.live import LOGGERS as OWN
    from opengenome_assets.service.settings import ServerSettings

    with setting_errors():
        limits = ServerSettings.from_environment()
        app = create_app(settings, limits)
        log_config = logging_config("search", OWN, app.state.live.limits.log_level)
    listener = _listener(host, port, "--port")
    click.echo(f"Search page: http://{host}:{port}")
    config = configure(app, limits, log_config=log_config, timeout_graceful_shutdown=REQUESTS_GRACE)
    with listener, suppress(KeyboardInterrupt):  # raised again after an orderly end
        uvicorn.Server(config).run(sockets=[listener])


@click.command()
@click.option("--host", default=HOST, show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=3002, show_default=True, help="Port to listen at.")
@click.option("--name", "names", multiple=True, help="Another name by which clients call it; * for any.")
def metrics(host: str, port: int, names: Sequence[str]) -> None:
    """Serve the state of runs, assets and disk: as a page, and as metrics for Prometheus.

    Reads Dagster's instance of DAGSTER_HOME or this folder (docs/operating.md).
    """
    settings = settings_in_use()
    import uvicorn

    from opengenome_assets.definitions import build_defs  # imports Dagster
    from opengenome_assets.lineage.failures import open_instance
    from opengenome_assets.monitoring.backups import backup_metrics
    from opengenome_assets.monitoring.exporter import Reading, create_app
    from opengenome_assets.monitoring.instance import InstanceMetrics
    from opengenome_assets.monitoring.jobs import job_metrics
    from opengenome_assets.monitoring.messages import Messenger, channels_of
    from opengenome_assets.monitoring.settings import MonitoringSettings
    from opengenome_assets.monitoring.spark import spark_metrics
    from opengenome_assets.monitoring.telling import Teller
    from opengenome_assets.service.jobs.store import Jobs

    with setting_errors():
        watched = MonitoringSettings.from_environment()
        log_config = logging_config("metrics", LOGGERS)
    checks = sorted(build_defs(settings).resolve_asset_graph().asset_check_keys)
    instance = InstanceMetrics(open_instance, checks, settings.home)
    messenger = Messenger(channels_of(watched), watched.messages_per_hour)
    jobs = Jobs(settings, groups.job_kinds())
    reading = Reading(
        [
            instance.read,
            lambda: job_metrics(jobs, time.time()),
            lambda: backup_metrics(settings.home),
            lambda: spark_metrics(watched.spark_page, watched.spark_workers),
            messenger.metrics,
        ]
    )
    app = create_app(
        reading, ["localhost", "127.0.0.1", "[::1]", host, *names], messenger, Teller(instance, watched.topics)
    )
    listener = _listener(host, port, "--port")
    click.echo(f"Status page: http://{host}:{port}/status")
    config = uvicorn.Config(app, log_config=log_config, access_log=False, timeout_graceful_shutdown=REQUESTS_GRACE)
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
    for name, place in (
        ("Runs", f"{dagster}/runs"),
        ("Asset graph", f"{dagster}/asset-groups"),
        ("Search page", search),
    ):
        click.echo(f"{name + ':':<12} {place}")
    click.echo("Dagster starts within seconds. Ctrl-C ends both.")
    with setting_errors():
        variables = {**dagster_environment(), "OPENGENOME_SEARCH_DAGSTER_URL": dagster}
    raise SystemExit(
        together(
            [program("dagster"), "dev", "--module-name", MODULE, "--host", HOST, "--port", str(port), *WARNINGS_ONLY],
            [program("opengenome"), "serve", "--host", HOST, "--port", str(search_port)],
            environment=variables,
        )
    )


def _listener(host: str, port: int, option: str) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        remedy = f"End what listens there, or choose another port with {option}"
        raise click.ClickException(f"{host}:{port} cannot be listened at: {error}. {remedy}") from error
