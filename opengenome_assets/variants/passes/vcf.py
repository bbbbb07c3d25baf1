"""The pass of variant_files: the records of some samples as one VCF file.

Belongs here: writing the file, its index, and its statistics. Does not belong here: calling (``call.py``).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pysam

from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.variants import tools
from opengenome_assets.variants.tables import VARIANT_FILES


@dataclass(frozen=True)
class Writing:
    """A VCF file to write.

    Attributes
    ----------
    name
        The sample, or a name for several.
    samples
        Rows of variants_raw by sample.
    header
        Definitions of the caller's fields.
    contigs
        Name and length of each, in order.
    home, target
        The home's folder, and the file below it.
    """

    name: str
    samples: Mapping[str, Sequence[Mapping[str, Any]]]
    header: tuple[str, ...]
    contigs: tuple[tuple[str, int], ...]
    home: str
    target: str


def write(work: Writing, writer: PartWriter) -> dict[str, Any]:
    """Write a VCF file, and its row."""
    target = Path(work.home, work.target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as folder:
        texts = []
        for number, (sample, rows) in enumerate(work.samples.items()):
            texts.append(Path(folder, f"{number}.vcf"))
            texts[-1].write_text(vcf(sample, rows, work.header, work.contigs))
        whole = Path(folder, target.name)
        packed = ("-Oz", "--write-index=tbi", "-o", str(whole))
        if len(texts) == 1:
            tools.run(("bcftools", "view", "--no-version", *packed, str(texts[0])))
        else:
            # A command of its own to pack and index each text would take most of the time.
            files = [pysam.tabix_index(str(text), preset="vcf", force=True) for text in texts]
            # The merged contigs come in the order in which the files have records on them.
            merge = ("bcftools", "merge", "--no-version", "-Ou", *files)
            tools.run(merge, ("bcftools", "sort", "-T", f"{whole}.sorting", *packed))
        stats = Path(f"{whole}.stats")
        tools.run(("bcftools", "stats", str(whole)), output=stats)
        found = re.search(r"^SN\t0\tnumber of records:\t(\d+)$", stats.read_text(), re.MULTILINE)
        for ending in (".tbi", ".stats", ""):
            os.replace(f"{whole}{ending}", f"{target}{ending}")
    content = target.read_bytes()
    row = {
        "sample": work.name,
        "path": work.target,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "records": int(found[1]) if found else None,
    }
    writer.write(pa.Table.from_pylist([row], schema=VARIANT_FILES.schema))
    return {"vcf": work.target}


def vcf(
    sample: str, rows: Sequence[Mapping[str, Any]], header: Sequence[str], contigs: Sequence[tuple[str, int]]
) -> str:
    """Return the records of a sample as VCF, sorted."""
    order = {contig: number for number, (contig, _) in enumerate(contigs)}
    lines = ["##fileformat=VCFv4.2", *header]
    lines += [f"##contig=<ID={contig},length={length}>" for contig, length in contigs]
    lines.append(f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{sample}")
    for row in sorted(rows, key=lambda row: (order[row["contig"]], row["pos"], row["ref"], row["alt"])):
        qual = "." if row["qual"] is None else f"{row['qual']:g}"
        cells = (row["contig"], row["pos"], ".", row["ref"], row["alt"], qual, ".", row["info"], row["format"])
        lines.append("\t".join(map(str, (*cells, row["call"]))))
    return "\n".join([*lines, ""])
