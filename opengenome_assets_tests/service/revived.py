"""The server of lines, started again as soon as it dies, as a container is.

Its processes are forks of this one, which has loaded all modules, so that a start costs a few milliseconds. A line with
the id of each goes to the standard output.
"""

import os
import socket
import sys

import uvicorn

from opengenome_assets.service.app import create_app
from opengenome_assets.service.connections import configure
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets_tests.service.lines import KIND

LIMITS = {"requests_per_minute": 0, "max_jobs_waiting": 10_000, "requests_at_once": 1000}


def serve(home: str, listener: socket.socket) -> None:
    """Serve until this process is killed."""
    limits = ServerSettings(**LIMITS)
    app = create_app(Settings(home=home), limits, {KIND.name: KIND})
    uvicorn.Server(configure(app, limits, log_level="error")).run(sockets=[listener])


def main(home: str, port: int) -> None:
    """Start a server, and another one when it has died."""
    listener = socket.create_server(("127.0.0.1", port), backlog=100)
    while True:
        child = os.fork()
        if not child:
            serve(home, listener)
            os._exit(1)
        print(child, flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
