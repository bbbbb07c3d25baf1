"""Loading all kernels is one call."""

import fcntl
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import numba
import pytest

from opengenome_assets.kernels.warm import alone, warm


@pytest.mark.slow
def test_warming_loads_every_kernel_of_the_package() -> None:
    """Each function that is cached on disk has machine code after it, for one signature only."""
    script = """
import importlib, pkgutil
from opengenome_assets import kernels
from opengenome_assets.kernels.warm import warm
warm()
for module in pkgutil.iter_modules(kernels.__path__):
    for name, value in vars(importlib.import_module(f"opengenome_assets.kernels.{module.name}")).items():
        if hasattr(value, "signatures") and type(value._cache).__name__ == "FunctionCache":
            print(module.name, name, len(value.signatures))
"""
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    signatures = {(module, name): int(number) for module, name, number in map(str.split, run.stdout.splitlines())}
    kernels = {
        "alignments",
        "assignment",
        "kmers",
        "codons",
        "profiles",
        "composition",
        "containment",
        "fasta_scan",
        "fastq",
        "frames",
        "frameshifts",
        "identifiers",
        "lanes",
        "occurrences",
        "planes",
        "tfidf",
        "translation",
    }
    assert kernels == {module for module, _ in signatures}
    signatures.pop(("identifiers", "murmur3_128"))  # called by a kernel, which is cached with it inside
    assert {kernel for kernel, number in signatures.items() if number != 1} == set()
    warm()


def test_a_part_waits_while_another_process_compiles_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    done = Event()

    def part() -> None:
        done.set()

    alone(part)
    assert done.is_set()
    done.clear()
    with (tmp_path / "part.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = Thread(target=alone, args=(part,))
        waiting.start()
        assert not done.wait(0.1)
    waiting.join(60)
    assert done.is_set()
