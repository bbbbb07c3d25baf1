"""The tables of the group: their schemas with columns, keys, lineage, code versions and descriptions.

Belongs here: one declaration per table. Does not belong here: how the rows are made (the modules named after the
tables, and ``passes``).
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from opengenome_assets.framework.table import Column, Role, TableSpec

MINIMUM_DEPTH = 10  # reads that cover a letter, for a sample to count as examined there
WINDOW = 1_000  # letters

REFERENCE = TableSpec(
    name="reference_contigs",
    description="Contigs of the reference that reads are aligned against. The files for tools (FASTA, its index, the "
    "aligner's index) lie in `references/` of the home.",
    columns=(
        Column("contig", pa.string(), "Its name in the FASTA file, up to the first space"),
        Column("number", pa.int32(), "Its place in the file, from 0"),
        Column("length", pa.int64(), "Letters"),
        Column("md5", pa.string(), "MD5 of its letters in upper case, as in SAM's M5"),
        Column("aliases", pa.list_(pa.string()), "Other names of it: with or without chr, accession"),
        Column("circular", pa.bool_(), "Whether the molecule is circular; its reads are aligned as to a linear one"),
        Column("genetic_code", pa.int32(), "Translation table of NCBI"),
        Column("ploidy_female", pa.int32(), "Copies in XX"),
        Column("ploidy_male", pa.int32(), "Copies in XY, outside of the pseudo-autosomal regions"),
        Column("unknown", pa.int64(), "Letters that are not A, C, G or T"),
        Column("folder", pa.string(), "Folder of the files for tools, below the home"),
    ),
    key=("contig",),
    kinds=frozenset({"fasta"}),
)

RAW_READS = TableSpec(
    name="raw_reads",
    description="Catalogue of the read files that the sample sheet names, each identified by the SHA-256 of its bytes.",
    columns=(
        Column("source", pa.string(), "The sample"),
        Column("path", pa.string(), "Path as the sheet has it"),
        Column("bytes", pa.int64(), "Size as stored"),
        Column("sha256", pa.string(), "SHA-256 of the bytes as stored, 64 hexadecimal digits"),
        Column("uri", pa.string(), "Where the file lies"),
        Column("revision", pa.string(), "Version of the collection it comes from; empty if that has none"),
        Column("patient", pa.string(), "The patient that the sample is of"),
        Column("sex", pa.string(), "XX, XY, or NA if the sheet does not say it"),
        Column("lane", pa.string(), "The lane: one read group of the sample"),
        Column("mate", pa.int32(), "1 or 2; 0 for a BAM or CRAM file, which holds both"),
    ),
    key=("source", "lane", "mate"),
    kinds=frozenset({"fastq"}),
    role=Role.CATALOGUE,
)

_BYTES = (RAW_READS["sha256"],)
_SAMPLE = Column("sample", pa.string(), "The sample", (RAW_READS["source"],))
_LANE = Column("lane", pa.string(), "The lane", (RAW_READS["lane"],))
_MATE = Column("mate", pa.int32(), "1 or 2", (RAW_READS["mate"],))

READ_QUALITY = TableSpec(
    name="read_quality",
    description="Letters and qualities of each read file by cycle, the place in a read.",
    columns=(
        _SAMPLE,
        _LANE,
        _MATE,
        Column("cycle", pa.int32(), "The place in the read, from 1", _BYTES),
        Column("reads", pa.int64(), "Reads that have this cycle", _BYTES),
        *(Column(base.lower(), pa.int64(), f"Letters {base}", _BYTES) for base in "ACGT"),
        Column("n", pa.int64(), "Other letters", _BYTES),
        Column("qualities", pa.list_(pa.int64()), "Reads by their Phred score here, from 0 to 93", _BYTES),
        Column("mean_quality", pa.float64(), "Mean Phred score", _BYTES),
        Column("adapters", pa.int64(), "Reads in which an adapter begins here, first occurrence", _BYTES),
    ),
    key=("sample", "lane", "mate", "cycle"),
)

READ_FILES = TableSpec(
    name="read_files",
    description="Quality of each read file as a whole. Reads whose first 32 letters are those of an earlier read count "
    "as duplicates here; that is an estimate before alignment.",
    columns=(
        _SAMPLE,
        _LANE,
        _MATE,
        Column("reads", pa.int64(), "Reads", _BYTES),
        Column("letters", pa.int64(), "Letters", _BYTES),
        Column("shortest", pa.int32(), "Length of the shortest read; 0 without reads", _BYTES),
        Column("longest", pa.int32(), "Length of the longest read; 0 without reads", _BYTES),
        Column("q20", pa.float64(), "Share of letters with Phred score 20 or more", _BYTES),
        Column("q30", pa.float64(), "Share of letters with Phred score 30 or more", _BYTES),
        Column("mean_quality", pa.float64(), "Mean Phred score of the letters", _BYTES),
        Column("gc", pa.float64(), "G and C among A, C, G and T", _BYTES),
        Column("n", pa.float64(), "Share of letters that are not A, C, G or T", _BYTES),
        Column("gc_histogram", pa.list_(pa.int64()), "Reads by per cent of G and C, 0 to 100", _BYTES),
        Column("duplication", pa.float64(), "Share of reads that begin like an earlier one", _BYTES),
        Column("adapters", pa.map_(pa.string(), pa.int64()), "Reads with each adapter", _BYTES),
        Column("overrepresented", pa.map_(pa.string(), pa.float64()), "Starts of 0.1 % of the reads or more", _BYTES),
        Column("digest", pa.string(), "Sum of hashes of name, letters and qualities of every read", _BYTES),
    ),
    key=("sample", "lane", "mate"),
)

_READS = (*_BYTES, REFERENCE["md5"])

ALIGNMENTS = TableSpec(
    name="read_alignments",
    description="Each sample's reads, aligned with bwa-mem3, sorted, with duplicates marked, as CRAM 3.1. samtools, "
    "IGV and others read the file; it needs the reference's FASTA. Adapters stay in the reads unless "
    "OPENGENOME_TRIMMING names them; the aligner clips what does not fit.",
    code_version="2",
    columns=(
        _SAMPLE,
        Column("patient", pa.string(), "The patient", (RAW_READS["patient"],)),
        Column("sex", pa.string(), "XX, XY or NA", (RAW_READS["sex"],)),
        Column("lanes", pa.list_(pa.string()), "Its lanes, each a read group", (RAW_READS["lane"],)),
        Column("reads", pa.int64(), "Primary reads", _READS),
        Column("letters", pa.int64(), "Letters of the primary reads", _READS),
        Column("mapped", pa.int64(), "Primary reads that are aligned", _READS),
        Column("properly_paired", pa.int64(), "Primary reads in pairs as expected", _READS),
        Column("duplicates", pa.int64(), "Primary reads marked as duplicates", _READS),
        Column("secondary", pa.int64(), "Further records: secondary and supplementary alignments", _READS),
        Column("mismatches", pa.int64(), "Letters that differ from the reference, by the NM tag", _READS),
        Column("mapped_letters", pa.int64(), "Letters aligned, by CIGAR", _READS),
        Column("insert_sizes", pa.list_(pa.int64()), "Pairs by insert size, from 0", _READS),
        Column("trimming", pa.string(), "How adapters were removed; none if they stay in the reads"),
        Column("trimmed_letters", pa.int64(), "Letters removed with adapters, and those of short_reads", _READS),
        Column(
            "short_reads", pa.int64(), "Reads left out: they or their mates were too short without adapters", _READS
        ),
        Column("unpaired_reads", pa.int64(), "Reads of a BAM or CRAM file left out: it has no mate of them", _READS),
        Column("digest", pa.string(), "The sum of hashes as in read_files, of the reads in the CRAM file", _READS),
        Column("path", pa.string(), "The CRAM file, below the home; its index has the same name and .crai"),
        Column("bytes", pa.int64(), "Size of the CRAM file", _READS),
        Column("sha256", pa.string(), "SHA-256 of the CRAM file", _READS),
        Column("aligner", pa.string(), "The aligner and its version"),
    ),
    key=("sample",),
    kinds=frozenset({"cram"}),
)

_ALIGNED = (ALIGNMENTS["sha256"],)
_ALIGNED_SAMPLE = Column("sample", pa.string(), "The sample", (ALIGNMENTS["sample"],))

READ_DEPTH = TableSpec(
    name="read_depth",
    description="Depth of each sample in windows of 1,000 letters. Duplicates, secondary alignments and letters where "
    "mates overlap count once or not at all, as `samtools depth -s` has it.",
    columns=(
        _ALIGNED_SAMPLE,
        Column("contig", pa.string(), "The contig", (REFERENCE["contig"],)),
        Column("start", pa.int64(), "First letter of the window, from 1", (REFERENCE["length"],)),
        Column("end", pa.int64(), "Last letter", (REFERENCE["length"],)),
        Column("mean", pa.float64(), "Mean depth", _ALIGNED),
        Column("minimum", pa.int32(), "Smallest depth", _ALIGNED),
        *(
            Column(f"share_{depth}", pa.float64(), f"Share of letters with a depth of {depth} or more", _ALIGNED)
            for depth in (MINIMUM_DEPTH, 20, 30)
        ),
    ),
    key=("sample", "contig", "start"),
)

_CALLED = (*_ALIGNED, REFERENCE["md5"])
_SITE = (
    Column("contig", pa.string(), "The contig", (REFERENCE["contig"],)),
    Column("pos", pa.int64(), "Position of the first letter of ref, from 1", _CALLED),
    Column("ref", pa.string(), "Letters of the reference", _CALLED),
)

VARIANTS_RAW = TableSpec(
    name="variants_raw",
    description="Records of the caller, bcftools mpileup and call, as it wrote them: several alleles in one record.",
    columns=(
        _ALIGNED_SAMPLE,
        *_SITE,
        Column("alt", pa.string(), "The other alleles, separated by commas", _CALLED),
        Column("qual", pa.float64(), "Phred score that there is a variant", _CALLED),
        Column("info", pa.string(), "INFO of the record", _CALLED),
        Column("format", pa.string(), "FORMAT of the record", _CALLED),
        Column("call", pa.string(), "Values of the sample", _CALLED),
    ),
    key=("sample", "contig", "pos", "ref", "alt"),
    kinds=frozenset({"vcf"}),
)

GENOTYPES = TableSpec(
    name="genotypes",
    description="Called alleles of each sample: one row per sample and allele, left-aligned and trimmed. The filter is "
    "LowQual below QUAL 20, and NearN beside an N of the reference; such rows count nowhere else.",
    columns=(
        _ALIGNED_SAMPLE,
        *_SITE,
        Column("alt", pa.string(), "The other allele", _CALLED),
        Column("variant_key", pa.string(), "contig-pos-ref-alt", _CALLED),
        Column("qual", pa.float64(), "Phred score that there is a variant", _CALLED),
        Column("filter", pa.string(), "PASS, LowQual or NearN", _CALLED),
        Column("gt", pa.string(), "The genotype, as in VCF; 1 is this allele", _CALLED),
        Column("ploidy", pa.int32(), "Alleles in the genotype", _CALLED),
        Column("copies", pa.int32(), "Copies of this allele", _CALLED),
        Column("gq", pa.int32(), "Phred score of the genotype", _CALLED),
        Column("dp", pa.int32(), "Reads that the caller used", _CALLED),
        Column("ad_ref", pa.int32(), "Reads with the reference's allele", _CALLED),
        Column("ad_alt", pa.int32(), "Reads with this allele", _CALLED),
        Column("vaf", pa.float64(), "ad_alt / (ad_ref + ad_alt); empty without reads", _CALLED),
        Column("strand_bias", pa.int32(), "Phred-scaled strand bias (SP of bcftools)", _CALLED),
        Column("pl", pa.string(), "Phred-scaled likelihoods of the genotypes", _CALLED),
    ),
    key=("sample", "contig", "pos", "ref", "alt"),
)

_ALLELE = (
    Column("variant_key", pa.string(), "contig-pos-ref-alt", (GENOTYPES["variant_key"],)),
    *(
        Column(name, kind, words, (GENOTYPES[name],))
        for name, kind, words in (
            ("contig", pa.string(), "The contig"),
            ("pos", pa.int64(), "Position, from 1"),
            ("ref", pa.string(), "Letters of the reference"),
            ("alt", pa.string(), "The other allele"),
        )
    ),
)

VARIANTS = TableSpec(
    name="variants",
    description="Distinct alleles with the filter PASS over all samples. A sample without a call counts as the "
    f"reference only where every letter of the window has a depth of {MINIMUM_DEPTH} or more.",
    columns=(
        *_ALLELE,
        Column("kind", pa.string(), "snv, insertion, deletion or other", (GENOTYPES["ref"], GENOTYPES["alt"])),
        Column("ac", pa.int64(), "Copies in the samples", (GENOTYPES["copies"],)),
        Column(
            "an", pa.int64(), "Alleles in the samples that are examined", (GENOTYPES["ploidy"], READ_DEPTH["minimum"])
        ),
        Column("af", pa.float64(), "ac / an", (GENOTYPES["copies"], READ_DEPTH["minimum"])),
        Column("samples", pa.list_(pa.string()), "Samples that have it", (GENOTYPES["sample"],)),
    ),
    key=("variant_key",),
)

_DATABASE = (
    Column("contig", pa.string(), "The contig, by its name in the reference", (REFERENCE["aliases"],)),
    Column("pos", pa.int64(), "Position, from 1, of the left-aligned allele"),
    Column("ref", pa.string(), "Letters of the reference"),
    Column("alt", pa.string(), "The other allele"),
)

CLINVAR = TableSpec(
    name="clinvar",
    description="Entries of ClinVar on the reference's contigs, in ClinVar's words. An entry whose REF is not in the "
    "reference is left out, and counted in the metadata.",
    columns=(
        *_DATABASE,
        Column("accession", pa.string(), "Accession (VCV) or variation ID"),
        Column("significance", pa.string(), "Clinical significance as stated"),
        Column("stars", pa.int32(), "Stars of the review status, 0 to 4; empty if the status is unknown"),
        Column("review_status", pa.string(), "Review status as stated"),
        Column("conflicts", pa.string(), "The conflicting statements, if it has them"),
        Column("condition", pa.string(), "Conditions"),
        Column("evaluated", pa.string(), "When it was last evaluated, as stated"),
    ),
    key=("contig", "pos", "ref", "alt", "accession"),
)

GNOMAD = TableSpec(
    name="gnomad",
    description="Allele frequencies of gnomAD on the reference's contigs.",
    columns=(
        *_DATABASE,
        Column("ac", pa.int64(), "Copies; of mitochondria, people in whom it is homoplasmic"),
        Column("an", pa.int64(), "Alleles examined"),
        Column("af", pa.float64(), "Frequency; of mitochondria, of the homoplasmic allele"),
        Column("af_heteroplasmic", pa.float64(), "Share of people in whom it is heteroplasmic; mitochondria only"),
        Column("filters", pa.string(), "Filters as stated"),
    ),
    key=("contig", "pos", "ref", "alt"),
)

GENE_MODELS = TableSpec(
    name="gene_models",
    description="Transcripts of a GFF3 file on the reference's contigs. A coding gene without transcripts, as "
    "mitochondria and bacteria have them, has one row.",
    columns=(
        Column("contig", pa.string(), "The contig, by its name in the reference", (REFERENCE["aliases"],)),
        Column("start", pa.int64(), "First letter, from 1"),
        Column("end", pa.int64(), "Last letter"),
        Column("strand", pa.string(), "+ or -"),
        Column("gene", pa.string(), "Name of the gene, or its ID if it has no name"),
        Column("transcript", pa.string(), "ID of the transcript"),
        Column("biotype", pa.string(), "Biotype as stated; protein_coding if the file has none and there is a CDS"),
        Column("exon_starts", pa.list_(pa.int64()), "First letters of the exons, ascending"),
        Column("exon_ends", pa.list_(pa.int64()), "Their last letters"),
        Column("cds_starts", pa.list_(pa.int64()), "First letters of the coding stretches, ascending; empty without"),
        Column("cds_ends", pa.list_(pa.int64()), "Their last letters"),
        Column("cds_phases", pa.list_(pa.int32()), "Their phases, as in GFF3"),
    ),
    key=("contig", "transcript", "start"),
)

CLASSES = (
    "asserted pathogenic, 1 star or more",
    "asserted pathogenic, 0 stars",
    "conflicting",
    "uncertain significance",
    "asserted benign",
    "other statement",
    "not listed",
)

_VARIANT = tuple(replace(each, origins=(VARIANTS[each.name],)) for each in _ALLELE)

ANNOTATIONS = TableSpec(
    name="annotations",
    description="What databases state of each allele of `variants`. It is not a verdict. An allele that a database "
    "does not have is not listed there, which says nothing of its effect.",
    columns=(
        *_VARIANT,
        Column("clinvar", pa.string(), "Accessions in ClinVar; empty if not listed", (CLINVAR["accession"],)),
        Column("significance", pa.string(), "Significance as stated", (CLINVAR["significance"],)),
        Column("stars", pa.int32(), "Stars of the review status", (CLINVAR["stars"],)),
        Column("review_status", pa.string(), "Review status as stated", (CLINVAR["review_status"],)),
        Column("conflicts", pa.string(), "Conflicting statements", (CLINVAR["conflicts"],)),
        Column("condition", pa.string(), "Conditions", (CLINVAR["condition"],)),
        Column("evaluated", pa.string(), "When last evaluated", (CLINVAR["evaluated"],)),
        Column("class", pa.string(), f"One of: {'; '.join(CLASSES)}", (CLINVAR["significance"], CLINVAR["stars"])),
        Column("gnomad_af", pa.float64(), "Frequency in gnomAD; empty if not listed", (GNOMAD["af"],)),
        Column("gnomad_an", pa.int64(), "Alleles examined in gnomAD", (GNOMAD["an"],)),
        Column("gnomad_filters", pa.string(), "Filters of gnomAD", (GNOMAD["filters"],)),
    ),
    key=("variant_key",),
)

_MODELS = (GENE_MODELS["cds_starts"], GENE_MODELS["exon_starts"])
_EFFECT = (VARIANTS["ref"], VARIANTS["alt"], *_MODELS, REFERENCE["md5"], REFERENCE["genetic_code"])

CONSEQUENCES = TableSpec(
    name="consequences",
    description="What each allele of `variants` does to each transcript, by bcftools csq with the contig's genetic "
    "code. Each allele is judged alone: two in one codon are not taken together. An allele outside of all transcripts "
    "has one row, without a transcript.",
    columns=(
        *_VARIANT,
        Column("gene", pa.string(), "Name of the gene", (GENE_MODELS["gene"],)),
        Column("transcript", pa.string(), "The transcript; empty outside of transcripts", (GENE_MODELS["transcript"],)),
        Column("biotype", pa.string(), "Biotype of the transcript", (GENE_MODELS["biotype"],)),
        Column("consequence", pa.string(), "Terms of the Sequence Ontology, joined by &", _EFFECT),
        Column("impact", pa.string(), "HIGH, MODERATE, LOW or MODIFIER: the class of VEP for the terms", _EFFECT),
        Column("amino_acids", pa.string(), "Change of the protein as bcftools writes it, such as 30Y>30H", _EFFECT),
        Column("hgvs_c", pa.string(), "Change of the coding sequence; only of single letters in it", _EFFECT),
        Column("hgvs_p", pa.string(), "Change of the protein; only of single amino acids", _EFFECT),
    ),
    key=("variant_key", "transcript"),
    code_version="2",
)

SAMPLE_QC = TableSpec(
    name="sample_qc",
    description="Quality of each sample in one row.",
    columns=(
        _ALIGNED_SAMPLE,
        Column("reads", pa.int64(), "Reads", (ALIGNMENTS["reads"],)),
        Column("mapped_share", pa.float64(), "Share of reads that are aligned", (ALIGNMENTS["mapped"],)),
        Column("duplicate_share", pa.float64(), "Share of reads marked as duplicates", (ALIGNMENTS["duplicates"],)),
        Column("insert_median", pa.float64(), "Median insert size", (ALIGNMENTS["insert_sizes"],)),
        Column("mean_depth", pa.float64(), "Mean depth", (READ_DEPTH["mean"],)),
        Column(
            "examined_share",
            pa.float64(),
            f"Share of letters of depth {MINIMUM_DEPTH} or more",
            (READ_DEPTH["share_10"],),
        ),
        Column("snvs", pa.int64(), "Single-nucleotide variants", (GENOTYPES["variant_key"],)),
        Column("indels", pa.int64(), "Insertions and deletions", (GENOTYPES["variant_key"],)),
        Column("ti_tv", pa.float64(), "Transitions / transversions; empty without transversions", (GENOTYPES["alt"],)),
        Column("het_hom", pa.float64(), "Heterozygous / homozygous diploid calls; empty without", (GENOTYPES["gt"],)),
        Column("low_fraction", pa.int64(), "Haploid calls with vaf below 0.9, a sign of mixture", (GENOTYPES["vaf"],)),
    ),
    key=("sample",),
)

VARIANT_FILES = TableSpec(
    name="variant_files",
    description="The records of variants_raw as VCF, compressed with bgzip, with a tabix index beside each file: one "
    "of each sample, and one of all, merged by bcftools.",
    columns=(
        Column("sample", pa.string(), "The sample; all for the merged file", (VARIANTS_RAW["sample"],)),
        Column("path", pa.string(), "The file, below the home; its index has the same name and .tbi"),
        Column("bytes", pa.int64(), "Size", (VARIANTS_RAW["call"],)),
        Column("sha256", pa.string(), "SHA-256", (VARIANTS_RAW["call"],)),
        Column("records", pa.int64(), "Records", (VARIANTS_RAW["pos"],)),
    ),
    key=("sample",),
    kinds=frozenset({"vcf"}),
    code_version="2",
)

KINDS = ("snv", "indel")

TRUTH_VARIANTS = TableSpec(
    name="truth_variants",
    description="Known alleles of samples, of the truth VCF `OPENGENOME_TRUTH`, left-aligned and trimmed. Records with "
    "another FILTER than PASS, missing genotypes and symbolic alleles are left out.",
    columns=(
        Column("sample", pa.string(), "The sample, as the truth names it"),
        Column("contig", pa.string(), "The contig, by its name in the reference", (REFERENCE["aliases"],)),
        Column("pos", pa.int64(), "Position, from 1, of the left-aligned allele"),
        Column("ref", pa.string(), "Letters of the reference"),
        Column("alt", pa.string(), "The other allele"),
        Column("variant_key", pa.string(), "contig-pos-ref-alt"),
        Column("copies", pa.int32(), "Copies of this allele"),
        Column("ploidy", pa.int32(), "Alleles in the genotype"),
    ),
    key=("sample", "contig", "pos", "ref", "alt"),
)

TRUTH_REGIONS = TableSpec(
    name="truth_regions",
    description="Regions where all variants of the truth's samples are known, of the BED file "
    "`OPENGENOME_TRUTH_REGIONS`; whole contigs without one.",
    columns=(
        Column("contig", pa.string(), "The contig, by its name in the reference", (REFERENCE["aliases"],)),
        Column("start", pa.int64(), "First letter, from 1"),
        Column("end", pa.int64(), "Last letter"),
    ),
    key=("contig", "start"),
)

_JUDGED = (GENOTYPES["gt"], TRUTH_VARIANTS["copies"], TRUTH_REGIONS["start"], REFERENCE["md5"])

BENCHMARK = TableSpec(
    name="benchmark",
    description="Calls with the filter PASS against the known alleles of `truth_variants` in `truth_regions`, by "
    "sample and kind. An allele is right with the same genotype. Clusters of alleles that spell the same two "
    "haplotypes are equal, however they are written. Samples without a truth have no row.",
    columns=(
        _ALIGNED_SAMPLE,
        Column("kind", pa.string(), "snv, or indel for every other change", _JUDGED),
        Column("known", pa.int64(), "Known alleles", _JUDGED),
        Column("found", pa.int64(), "Known alleles that are called with their genotype (true positives)", _JUDGED),
        Column("missed", pa.int64(), "Known alleles that are not (false negatives)", _JUDGED),
        Column("wrong_genotype", pa.int64(), "Missed alleles that are called with another genotype", _JUDGED),
        Column("called", pa.int64(), "Calls", _JUDGED),
        Column("wrong", pa.int64(), "Calls that are not known so (false positives)", _JUDGED),
        Column("precision", pa.float64(), "(called - wrong) / called; empty without calls", _JUDGED),
        Column("recall", pa.float64(), "found / known; empty without known alleles", _JUDGED),
        Column("f1", pa.float64(), "Harmonic mean of both; empty without", _JUDGED),
    ),
    key=("sample", "kind"),
)

TABLES = (
    REFERENCE,
    RAW_READS,
    READ_QUALITY,
    READ_FILES,
    ALIGNMENTS,
    READ_DEPTH,
    VARIANTS_RAW,
    GENOTYPES,
    VARIANT_FILES,
    VARIANTS,
    CLINVAR,
    GNOMAD,
    ANNOTATIONS,
    GENE_MODELS,
    CONSEQUENCES,
    SAMPLE_QC,
    TRUTH_VARIANTS,
    TRUTH_REGIONS,
    BENCHMARK,
)
