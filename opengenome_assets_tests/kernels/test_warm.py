"""Loading all kernels is one call."""

import subprocess
import sys

import pytest

from opengenome_assets.kernels.warm import warm


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
