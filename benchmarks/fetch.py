"""CPU cost of verified fetching: the store against huggingface_hub's own download of the same bytes.

``python -m benchmarks.fetch [MEGABYTES]`` serves one random file from a local Hub in another process. Both fetch it in
turns. It prints CPU seconds (user and system) of the fetching process, and their ratio. The library checks the size
only; the store checks the SHA-256.
"""

import multiprocessing as mp
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from huggingface_hub.file_download import http_get

from opengenome_assets.intake.hub.listing import Hub, Specification
from opengenome_assets.intake.hub.store import Store
from opengenome_assets_tests.intake.hub.hub_server import REPO, serving

FILE = "fasta/random.fasta.gz"
ROUNDS = 5


def serve(size: int, connection: Connection) -> None:
    """Serve a file of this number of random bytes until the caller stops it."""
    with serving() as state:
        state.commit({FILE: os.urandom(size)})
        connection.send(state.hub)
        connection.recv()


def cpu(fetch: Callable[[Path], None], folder: Path) -> float:
    """Return the CPU seconds that fetching to a folder takes."""
    before = time.process_time()
    fetch(folder)
    return time.process_time() - before


def main(megabytes: int) -> None:
    """Measure, and print the figures."""
    here, there = mp.Pipe()
    server = mp.get_context("spawn").Process(target=serve, args=(megabytes * 10**6, there))
    server.start()
    endpoint = here.recv()
    hub = Hub(endpoint=endpoint, token=None)
    files = hub.list_files(Specification(REPO)).files

    def ours(folder: Path) -> None:
        Store(folder).fetch(files, access=hub.access)

    def library(folder: Path) -> None:
        folder.mkdir()
        with open(folder / "file", "wb") as target:
            http_get(files[0].url, target, expected_size=files[0].size)

    seconds: dict[str, list[float]] = {"store": [], "huggingface_hub": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            seconds["store"].append(cpu(ours, Path(folder, "ours")))
            seconds["huggingface_hub"].append(cpu(library, Path(folder, "library")))
    here.send("stop")
    server.join()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:16} {median:6.2f} CPU s for {megabytes:,} MB (median of {ROUNDS})")
    print(f"store / huggingface_hub: {medians['store'] / medians['huggingface_hub']:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
