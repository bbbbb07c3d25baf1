"""Headers of proteins: which fields the dialects of FASTA state.

Belongs here: the dialects. Does not belong here: trusting them. A header is a statement of its writer: names of genes
are hints, and checksums in headers are not used.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PIPES = re.compile(
    r"(?P<accession>[^|]+)\|(?P<gene>[^|]*)\|(?P<start>\d+)-(?P<end>\d+)\|(?P<strand>[+-]|-?1)\|(?P<contig>[^|]*)(\|.*)?"
)
_PRODIGAL = re.compile(r"(?P<contig>\S+)_\d+ # (?P<start>\d+) # (?P<end>\d+) # (?P<strand>-?1) # (?P<rest>.*)")
_PARTIAL = re.compile(r"\bpartial=(?P<left>[01])(?P<right>[01])\b")
_FIELD = re.compile(r"\[(?P<name>gene|location)=(?P<value>[^\]]*)\]")
_NCBI_CDS = re.compile(r"lcl\|(?P<contig>.+)_prot_\S*")
_SPAN = re.compile(r"(?P<before><?)(?P<start>\d+)\.\.(?P<after>>?)(?P<end>\d+)")


class Stated(NamedTuple):
    """Fields that a header states; None, and an empty gene or contig, where it does not."""

    gene: str = ""
    contig: str = ""
    start: int | None = None
    end: int | None = None
    strand: int | None = None
    partial_5: bool | None = None
    partial_3: bool | None = None


def read_header(header: str) -> Stated:
    """Return what a header states, in the first dialect that fits.

    ``accession|gene|start-end|strand|contig|…``, Prodigal's, NCBI's of coding sequences, or any other, of which nothing
    but the first word is known.

    Examples
    --------
    >>> read_header("c1_2 # 551 # 1618 # -1 # ID=1_2;partial=10;start_type=Edge").partial_3
    True
    >>> read_header("lcl|NC_1.1_prot_NP_1.1_5 [gene=gyrA] [location=complement(7..90)]")[:5]
    ('gyrA', 'NC_1.1', 7, 90, -1)
    >>> read_header("GCF_1|gyrA|10-99|-|contig 4|0123abcd").contig
    'contig 4'
    """
    if found := _PIPES.fullmatch(header):
        strand = -1 if found["strand"].startswith("-") else 1
        return Stated(found["gene"], found["contig"], int(found["start"]), int(found["end"]), strand)
    if found := _PRODIGAL.fullmatch(header):
        strand, edges = int(found["strand"]), _PARTIAL.search(found["rest"])
        partial = [edges["left"] == "1", edges["right"] == "1"][::strand] if edges else [None, None]
        return Stated("", found["contig"], int(found["start"]), int(found["end"]), strand, *partial)
    fields = {found["name"]: found["value"] for found in _FIELD.finditer(header)}
    if not fields:
        return Stated()
    contig = _NCBI_CDS.match(header.split(maxsplit=1)[0])
    location = fields.get("location", "")
    spans = list(_SPAN.finditer(location))
    if not spans:
        return Stated(fields.get("gene", ""), contig["contig"] if contig else "")
    strand = -1 if location.startswith("complement") else 1
    partial_5, partial_3 = [bool(spans[0]["before"]), bool(spans[-1]["after"])][::strand]
    start, end = int(spans[0]["start"]), int(spans[-1]["end"])
    place = contig["contig"] if contig else ""
    return Stated(fields.get("gene", ""), place, start, end, strand, partial_5, partial_3)
