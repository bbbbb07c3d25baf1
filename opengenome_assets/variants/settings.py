"""The settings of the group: sample sheet, reference, databases, and known variants.

Belongs here: the user's settings. Does not belong here: settings of a single run, the run config of each asset.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from opengenome_assets.settings import Section, SettingsError, refuse_long_names

SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).with_name("sample")
NONE = "none"


# The 3' adapters of mates 1 and 2 (Illumina, document 1000000002694).
ADAPTERS = {
    "illumina": ("AGATCGGAAGAGCACACGTCTGAACTCCAGTCA", "AGATCGGAAGAGCGTCGTGTAGGGAAAGAGTGT"),
    "nextera": ("CTGTCTCTTATACACATCT", "CTGTCTCTTATACACATCT"),
}


def _trimming(text: str) -> str:
    if text == NONE or text in ADAPTERS or re.fullmatch("[ACGTN]{5,},[ACGTN]{5,}", text):
        return text
    raise SettingsError(
        f"OPENGENOME_TRIMMING is {text!r}: expected {NONE}, {', '.join(ADAPTERS)}, or the adapters of mates 1 and 2 in "
        "capital letters, separated by a comma"
    )


def _checked(variable: str) -> AfterValidator:
    return AfterValidator(lambda text: refuse_long_names(variable, text))


class VariantsSettings(Section):
    """The settings of the group.

    Attributes
    ----------
    samples
        The sample sheet, or ``sample``.
    reference
        A FASTA file, ``corpus:SEQ_ID``, or ``sample``.
    clinvar, gnomad
        Files of these databases, ``sample``, or ``none``.
    genes
        A GFF3 file of genes on the reference, ``sample``, or ``none``.
    trimming
        Which adapters are removed before alignment.
    region_bases
        Letters of a region, the unit of coverage and of calling.
    read_folders
        Folders, separated by commas, whose files the sheet of a job may name.
    truth, truth_regions
        A VCF file of known variants of the samples and a BED file of its confident regions, or ``none``.
    """

    samples: Annotated[str, _checked("OPENGENOME_SAMPLES")] = Field(
        default=SAMPLE, validation_alias="OPENGENOME_SAMPLES", description="sample sheet of reads, a CSV file"
    )
    reference: Annotated[str, _checked("OPENGENOME_REFERENCE")] = Field(
        default=SAMPLE,
        validation_alias="OPENGENOME_REFERENCE",
        description="reference of the reads: a FASTA file, or `corpus:SEQ_ID` for a sequence of the corpus",
    )
    clinvar: Annotated[str, _checked("OPENGENOME_CLINVAR")] = Field(
        default=SAMPLE,
        validation_alias="OPENGENOME_CLINVAR",
        description="ClinVar as VCF or as its website's table; `none` leaves it out",
    )
    gnomad: Annotated[str, _checked("OPENGENOME_GNOMAD")] = Field(
        default=SAMPLE,
        validation_alias="OPENGENOME_GNOMAD",
        description="gnomAD as VCF or as its mitochondrial table; `none` leaves it out",
    )
    genes: Annotated[str, _checked("OPENGENOME_GENES")] = Field(
        default=SAMPLE,
        validation_alias="OPENGENOME_GENES",
        description="gene models of the reference as GFF3, for the consequences of variants; `none` leaves them out",
    )
    truth: Annotated[str, _checked("OPENGENOME_TRUTH")] = Field(
        default=NONE,
        validation_alias="OPENGENOME_TRUTH",
        description="VCF of known variants, with genotypes of samples by their names, to compare calls with",
    )
    truth_regions: Annotated[str, _checked("OPENGENOME_TRUTH_REGIONS")] = Field(
        default=NONE,
        validation_alias="OPENGENOME_TRUTH_REGIONS",
        description="BED of the regions where all variants are known; `none` stands for whole contigs",
    )
    trimming: Annotated[str, AfterValidator(_trimming)] = Field(
        default=NONE,
        validation_alias="OPENGENOME_TRIMMING",
        description="adapters that cutadapt removes before alignment: `illumina`, `nextera`, or the adapters of both "
        "mates, separated by a comma; `none` keeps every letter, and the aligner clips what does not fit",
    )
    region_bases: int = Field(
        default=5_000_000,
        ge=1_000,
        multiple_of=1_000,
        validation_alias="OPENGENOME_REGION_BASES",
        description="letters of a region, the unit of coverage and of calling; any size gives the same records",
    )

    read_folders: Annotated[str, _checked("OPENGENOME_READ_FOLDERS")] = Field(
        default="",
        validation_alias="OPENGENOME_READ_FOLDERS",
        description="folders, separated by commas, whose files the sheet of a job may name (docs/jobs.md); none by "
        "default",
    )

    @property
    def adapters(self) -> tuple[str, str] | None:
        """The adapters to remove, of mates 1 and 2; None if there are none."""
        if self.trimming == NONE:
            return None
        first, _, second = self.trimming.partition(",")
        return ADAPTERS.get(self.trimming) or (first, second)
