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
VERSION_OPTIONS = {"kmc": (), "jellyfish": ("--version",)}


def describe_machine() -> dict[str, str]:
    """Return the machine's parts and the versions of software, by name."""
    found = re.search("^model name\\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "opengenome-assets": __version__,
        "Python": platform.python_version(),
        "Java": str(find_java().version),
        **{name: version(name) for name in LIBRARIES},
        **{name: tool_version(name) for name in VERSION_OPTIONS if shutil.which(name)},
    }


def tool_version(name: str) -> str:
    """Return the version on the first line of a tool's output."""
    printed = subprocess.run([name, *VERSION_OPTIONS[name]], capture_output=True, text=True).stdout
    found = re.search(r"\d+(\.\d+)+", printed)
    return found[0] if found else "unknown"
