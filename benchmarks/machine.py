"""The machine and the versions of its software, on which figures depend."""

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from opengenome_assets import __version__
from opengenome_assets.engine.java import find_java

LIBRARIES = ("dagster", "pyspark", "deltalake", "pyarrow", "numba", "numpy", "isal", "faiss-cpu", "duckdb")
VERSION_OPTIONS = {
    "kmc": (),
    "jellyfish": ("--version",),
    "prodigal": ("-v",),
    "diamond": ("version",),
    "bwa": (),
    **dict.fromkeys(("minimap2", "fastp", "samtools", "bcftools", "freebayes"), ("--version",)),
}


def describe_machine() -> dict[str, str]:
    """Return the machine's parts and the versions of software, by name."""
    found = re.search("^model name\\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    name = re.sub(r"\(R\)|\(TM\)", "", found[1] if found else platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": f"{name}, {os.cpu_count()} cores",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "opengenome-assets": __version__,
        "Python": platform.python_version(),
        "Java": str(find_java().version),
        **{library: version(library) for library in LIBRARIES},
        **{tool: tool_version(tool) for tool in VERSION_OPTIONS if shutil.which(tool)},
    }


def tool_version(name: str) -> str:
    """Return the version that a tool prints."""
    printed = subprocess.run([name, *VERSION_OPTIONS[name]], capture_output=True, text=True, errors="replace")
    found = re.search(r"\d+(\.\d+)+", printed.stdout + printed.stderr)
    return found[0] if found else "unknown"
