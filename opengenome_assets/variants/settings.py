"""The settings of the group: sample sheet, reference, databases, and known variants.

Belongs here: the user's settings. Does not belong here: settings of a single run, the run config of each asset.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from opengenome_assets.settings import Section, refuse_long_names

SAMPLE = "sample"
SAMPLE_FOLDER = Path(__file__).with_name("sample")
NONE = "none"


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
