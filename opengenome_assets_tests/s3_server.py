"""The object store's server: ``python -m opengenome_assets_tests.s3_server HOST PORT`` serves it until it is ended.

moto's own command compares the ETag of a conditional put and writes the object in two steps, so that of two puts at
once both can succeed, and no lock would hold. Here one request is answered after the other.
"""

import sys
import threading
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


def serve(host: str, port: int) -> None:
    answer, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def in_turn(environ: Any, start_response: Any) -> Any:
        with turn:
            return answer(environ, start_response)

    run_simple(host, port, in_turn, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
