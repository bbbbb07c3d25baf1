"""The tables of the proteins: their schemas with columns, keys, lineage, code versions and descriptions.

Belongs here: one declaration per table. Does not belong here: how the rows are made (the modules named after the
tables, and ``passes``).
"""

from __future__ import annotations

import pyarrow as pa

from opengenome_assets.framework.table import Column, Role, TableSpec

TEXT, NUMBER, SHARE, YES_NO = pa.string(), pa.int32(), pa.float64(), pa.bool_()
PARALLEL = frozenset({"spark"})
UNUSABLE = "unusable_files"  # in the record of raw_proteins: files left out, each with source, file, reason

PROTEIN_FILES = TableSpec(
    name="protein_files",
    description="Catalogue of the files of proteins and assemblies, each identified by the SHA-256 of its bytes. The "
    "file's name gives the accession: that before `_proteins`, or without endings.",
    columns=(
        Column("source", TEXT, "The file's folder, or its own name without endings"),
        Column("path", TEXT, "Path below what was named as source"),
        Column("bytes", pa.int64(), "Size as stored, compressed if the file is"),
        Column("sha256", TEXT, "SHA-256 of the bytes as stored, 64 hexadecimal digits"),
        Column("uri", TEXT, "Where the file lies"),
        Column("revision", TEXT, "Version of the collection it comes from; empty if that has none"),
        Column("accession", TEXT, "The genome or isolate that it belongs to"),
        Column("kind", TEXT, "proteins, or contigs: nucleotides, in which each gene is found first"),
    ),
    key=("source", "path"),
    kinds=frozenset({"fasta"}),
    role=Role.CATALOGUE,
)

_ACCESSION = Column("accession", TEXT, "The genome or isolate", (PROTEIN_FILES["accession"],))

ACCESSIONS = TableSpec(
    name="accessions",
    description="The accessions, each with organism and genetic code from the sample sheet.",
    columns=(
        _ACCESSION,
        Column("organism", TEXT, "Organism as the sample sheet has it; empty if it names none"),
        Column("genetic_code", NUMBER, "NCBI number of the genetic code of its contigs; 11 unless named"),
        Column("files", pa.list_(TEXT), "Paths of its files", (PROTEIN_FILES["path"],)),
    ),
    key=("accession",),
    settings=("sheet",),
)

_BYTES = (PROTEIN_FILES["sha256"],)
_FILE = Column("file", TEXT, "Path of its file below the source that was named", (PROTEIN_FILES["path"],))

REJECTED_PROTEINS = TableSpec(
    name="rejected_proteins",
    description="Refused records, each with its file, line, place and the reason. Good records of the same file are "
    "kept; too many refused records stop the run. A file that cannot be used at all is left out, and has one row, as "
    "record 0.",
    columns=(
        _ACCESSION,
        _FILE,
        Column("record", pa.int64(), "The record's place in its file, from 1", _BYTES),
        Column("line", pa.int64(), "The line its header stands on, from 1", _BYTES),
        Column("header", TEXT, "Its header without '>', cut after 1,000 characters", _BYTES),
        Column("kind", TEXT, "What is wrong with it, the same words for every record of the kind", _BYTES),
        Column("reason", TEXT, "Why it was refused, with place and value", _BYTES),
        Column("letter", TEXT, "The first letter that is refused; empty if the letters are not the reason", _BYTES),
        Column("position", pa.int64(), "Place of that letter in the record, from 1", _BYTES),
    ),
    key=("accession", "file", "record"),
    kinds=PARALLEL,
    lenient={"max_rejected_share": 1.0, "max_unusable_share": 0.0},
)

_OF_CONTIGS = (*_BYTES, ACCESSIONS["genetic_code"])

PROTEINS = TableSpec(
    name="raw_proteins",
    description="The proteins of each accession: records of its files of proteins, and each gene that Prodigal finds "
    "in its contigs. Only files that are new or changed are read.",
    columns=(
        _ACCESSION,
        _FILE,
        Column("protein_id", TEXT, "The header's first word; of a gene its contig, `_` and its number", _OF_CONTIGS),
        Column("header", TEXT, "The header without '>', cut after 1,000 characters; of a gene, its contig's", _BYTES),
        Column("gene", TEXT, "The gene's name that the header states: a hint, not a finding", _BYTES),
        Column("contig", TEXT, "The contig it lies on, if known", _OF_CONTIGS),
        Column("start", pa.int64(), "First base of the gene on the contig, from 1, if known", _OF_CONTIGS),
        Column("end", pa.int64(), "Last base of the gene on the contig, if known", _OF_CONTIGS),
        Column("strand", pa.int8(), "1, -1, or empty if unknown", _OF_CONTIGS),
        Column("partial_5", YES_NO, "Whether its start lies beyond the contig's edge; empty if unknown", _OF_CONTIGS),
        Column("partial_3", YES_NO, "Whether its stop lies beyond the contig's edge; empty if unknown", _OF_CONTIGS),
        Column("start_codon", TEXT, "First codon of a gene found here", _OF_CONTIGS),
        Column("method", TEXT, "file, or how the gene was found: prodigal_single, prodigal_meta, orf", _OF_CONTIGS),
        Column("length", NUMBER, "Letters before the stop", _OF_CONTIGS),
        Column("letters_after_stop", NUMBER, "Letters after a stop inside the record, which are not used", _BYTES),
        Column("protein_sha256", TEXT, "SHA-256 of the letters before the stop, in upper case", _OF_CONTIGS),
        Column("sequence", pa.large_string(), "The letters before the stop, in upper case", _OF_CONTIGS),
    ),
    key=("accession", "file", "protein_id"),
    kinds=PARALLEL,
    role=Role.BASIS,
    lenient={"max_rejected_share": 1.0, "max_unusable_share": 0.0},
)

DISTINCT_PROTEINS = TableSpec(
    name="distinct_proteins",
    description="The distinct sequences among the proteins. Each is aligned once, in however many accessions it is.",
    columns=(
        Column("protein_sha256", TEXT, "SHA-256 of the sequence", (PROTEINS["protein_sha256"],)),
        Column("length", NUMBER, "Letters", (PROTEINS["length"],)),
        Column("sequence", pa.large_string(), "The letters, in upper case", (PROTEINS["sequence"],)),
    ),
    key=("protein_sha256",),
    kinds=PARALLEL,
)

_VERSION = Column("catalogue_version", TEXT, "SHA-256 over both files of the catalogue of proteins, or of that of DNA")
_MOLECULE = Column("molecule", TEXT, "protein, or dna: ribosomal RNA and promoters")

WILD_TYPES = TableSpec(
    name="wild_types",
    description="The references of the catalogue on which mutations are known, in the catalogue's order: proteins, and "
    "DNA of ribosomal RNA and promoters.",
    columns=(
        _MOLECULE,
        Column("reference", TEXT, "Accession with version; of an own catalogue, the reference's name"),
        Column("gene", TEXT, "Name of the gene"),
        Column("organisms", pa.list_(TEXT), "Organisms of which mutations are known on it; '' stands for any"),
        Column("mutations", NUMBER, "Number of known mutations"),
        Column("length", NUMBER, "Letters"),
        Column("sha256", TEXT, "SHA-256 of the sequence"),
        Column("sequence", pa.large_string(), "The letters, without the stop"),
        _VERSION,
    ),
    key=("reference",),
    code_version="2",
    settings=("catalogue",),
)

KNOWN_MUTATIONS = TableSpec(
    name="known_mutations",
    description="The catalogue's entries that agree with their references.",
    columns=(
        _MOLECULE,
        Column("line", NUMBER, "Line of the catalogue's file"),
        Column("reference", TEXT, "The reference that it is numbered on"),
        Column("gene", TEXT, "Name of the gene"),
        Column("organism", TEXT, "Organism of which it is known; empty for any"),
        Column("symbol", TEXT, "Name of the entry, such as gyrA_S83L"),
        Column("position", NUMBER, "Position on the reference, from 1"),
        Column("numbering", NUMBER, "Position as published; it may differ"),
        Column("ref_aa", TEXT, "Letters of the reference"),
        Column("alt_aa", TEXT, "Letters in their place; * for a stop, empty for a deletion"),
        Column("stop_after", NUMBER, "Of a frameshift: letters up to the stop, as HGVS' fsTer"),
        Column("kind", TEXT, "substitution, stop, insertion, deletion, indel, complex or frameshift"),
        Column("normal_form", TEXT, "Its changes as they are compared with those of a protein"),
        Column("drug_class", TEXT, "Class of drugs"),
        Column("drug", TEXT, "Drug, or subclass"),
        _VERSION,
    ),
    key=("molecule", "line"),
    code_version="2",
    settings=("catalogue",),
)

REJECTED_MUTATIONS = TableSpec(
    name="rejected_mutations",
    description="The catalogue's entries that are not used, with the reason: above all those that disagree with their "
    "reference.",
    columns=(
        _MOLECULE,
        Column("line", NUMBER, "Line of the catalogue's file"),
        Column("symbol", TEXT, "Name of the entry"),
        Column("reference", TEXT, "The reference that it names"),
        Column("reason", TEXT, "Why it is refused"),
        Column("expected", TEXT, "Letters that the entry states"),
        Column("found", TEXT, "Letters that the reference has there"),
        _VERSION,
    ),
    key=("molecule", "line"),
    code_version="2",
    settings=("catalogue",),
)

_PAIR = (DISTINCT_PROTEINS["sequence"], WILD_TYPES["sequence"])
_SHA256 = Column("protein_sha256", TEXT, "SHA-256 of the protein's sequence", (DISTINCT_PROTEINS["protein_sha256"],))
_REFERENCE = Column("reference", TEXT, "The reference protein", (WILD_TYPES["reference"],))

ALIGNMENTS = TableSpec(
    name="protein_alignments",
    description="Each distinct protein with each reference that shares enough k-mers with it: semi-global, "
    "affine gaps, "
    "the proved optimum. At an identity of 0.8 or more over 30 % of a reference of 51 letters or more, no pair is "
    "left out. Pairs of less are kept from an identity of 0.5 over 30 % of the reference, so that a protein can be "
    "called diverged, and short ones from 20 columns.",
    columns=(
        _SHA256,
        _REFERENCE,
        Column("reference_sha256", TEXT, "SHA-256 of the reference's sequence", (WILD_TYPES["sha256"],)),
        Column("score", SHARE, "Score, as EMBOSS writes it", _PAIR),
        Column("identity", SHARE, "Columns with the same letter twice, divided by all columns, in [0, 1]", _PAIR),
        Column("similarity", SHARE, "Columns with a positive score, divided by all columns, in [0, 1]", _PAIR),
        Column("coverage_query", SHARE, "Share of the protein between the first and the last column", _PAIR),
        Column("coverage_reference", SHARE, "Share of the reference between the first and the last column", _PAIR),
        Column("columns", NUMBER, "Columns, gaps included, free ends not", _PAIR),
        Column("gaps", NUMBER, "Letters inserted or deleted", _PAIR),
        Column("query_length", NUMBER, "Letters of the protein", (DISTINCT_PROTEINS["length"],)),
        Column("query_start", NUMBER, "First aligned letter of the protein, from 1", _PAIR),
        Column("query_end", NUMBER, "Last aligned letter of the protein", _PAIR),
        Column("reference_length", NUMBER, "Letters of the reference", (WILD_TYPES["length"],)),
        Column("reference_start", NUMBER, "First aligned letter of the reference, from 1", _PAIR),
        Column("reference_end", NUMBER, "Last aligned letter of the reference", _PAIR),
        Column("cigar", TEXT, "CIGAR with =, X, I (letter of the protein only) and D (of the reference only)", _PAIR),
        Column("proof", TEXT, "How the optimum is proved: ungapped, band or full", _PAIR),
        Column("shared_kmers", NUMBER, "k-mers shared, k = 4", _PAIR),
        Column("ambiguous", pa.list_(NUMBER), "Positions of the reference that meet B, J, O, U, X or Z", _PAIR),
    ),
    key=("protein_sha256", "reference"),
    code_version="2",
    kinds=PARALLEL,
)

SUBSTITUTIONS = TableSpec(
    name="substitutions",
    description="Every change of a reference that an alignment of an identity of 0.8 or more shows, known or not. "
    "Letters that are no amino acid of BLOSUM62's 20 (B, J, O, U, X, Z) are no change.",
    columns=(
        _SHA256,
        _REFERENCE,
        Column("position", NUMBER, "Position on the reference, from 1; of an insertion, the letter before it", _PAIR),
        Column("ref_aa", TEXT, "Letters of the reference; empty for an insertion", _PAIR),
        Column("alt_aa", TEXT, "Letters of the protein; empty for a deletion", _PAIR),
        Column("kind", TEXT, "substitution, insertion, deletion or indel", _PAIR),
        Column("short", TEXT, "As S83L", _PAIR),
        Column("hgvs", TEXT, "HGVS name, as p.Ser83Leu", _PAIR),
        Column("blosum62", pa.int8(), "BLOSUM62 score of a substitution; empty otherwise", _PAIR),
        Column("at_end", YES_NO, "Whether it lies within 5 letters of the alignment's ends", _PAIR),
        Column("flank_identity", SHARE, "Share of identical columns among 10 on either side, in [0, 1]", _PAIR),
    ),
    key=("protein_sha256", "reference", "position", "ref_aa", "alt_aa"),
    kinds=PARALLEL,
)

_CONTIGS = (*_BYTES, WILD_TYPES["sequence"])
_COPY = Column("reference", TEXT, "The reference of DNA", (WILD_TYPES["reference"],))
_CONTIG = Column("contig", TEXT, "The contig", _BYTES)
_STRAND = Column("strand", pa.int8(), "1, or -1 where the contig holds the reverse complement", _CONTIGS)

NUCLEOTIDE_ALIGNMENTS = TableSpec(
    name="nucleotide_alignments",
    description="Each copy of a reference of DNA in contigs, ribosomal RNA and promoters, on both strands, from 30 % "
    "of the reference and an identity of 0.6: EDNAFULL, gaps of 10 and 0.5, cut to the best-scoring part. Copies "
    "without 8 shared 12-mers are not found.",
    columns=(
        _ACCESSION,
        _FILE,
        _CONTIG,
        Column("start", pa.int64(), "First base of the copy on the contig as given, from 1", _CONTIGS),
        Column("end", pa.int64(), "Last base of the copy on the contig as given", _CONTIGS),
        _STRAND,
        Column("contig_length", pa.int64(), "Bases of the contig", _BYTES),
        _COPY,
        Column("reference_sha256", TEXT, "SHA-256 of the reference's sequence", (WILD_TYPES["sha256"],)),
        Column("score", SHARE, "5 for each pair of equal letters, -4 for others, gaps 10 and 0.5", _CONTIGS),
        Column("identity", SHARE, "Columns with the same letter twice, divided by all columns, in [0, 1]", _CONTIGS),
        Column("coverage_reference", SHARE, "Share of the reference between the first and the last column", _CONTIGS),
        Column("reference_length", NUMBER, "Letters of the reference", (WILD_TYPES["length"],)),
        Column("reference_start", NUMBER, "First aligned letter of the reference, from 1", _CONTIGS),
        Column("reference_end", NUMBER, "Last aligned letter of the reference", _CONTIGS),
        Column("cigar", TEXT, "CIGAR with =, X, I (letter of the contig only) and D (of the reference only)", _CONTIGS),
        Column("sequence", pa.large_string(), "The copy on the reference's strand, upper case", _CONTIGS),
    ),
    key=("accession", "file", "contig", "start", "strand", "reference"),
    kinds=PARALLEL,
)

_OF_GENES = (PROTEINS["start"], PROTEINS["end"], *_BYTES)

CODING_SEQUENCES = TableSpec(
    name="coding_sequences",
    description="The DNA of each gene found in contigs whose protein has a reference of its organism at an identity of "
    "0.8 or more: from it come the bases of a call.",
    columns=(
        _ACCESSION,
        _FILE,
        Column("protein_id", TEXT, "The protein", (PROTEINS["protein_id"],)),
        _CONTIG,
        Column("start", pa.int64(), "First base of the gene on the contig as given, from 1", _OF_GENES),
        Column("end", pa.int64(), "Last base of the gene on the contig as given", _OF_GENES),
        Column("strand", pa.int8(), "1, or -1 where the contig holds the reverse complement", _OF_GENES),
        Column("sequence", pa.large_string(), "The gene on its own strand, upper case, with its stop", _OF_GENES),
    ),
    key=("accession", "file", "protein_id"),
    kinds=PARALLEL,
)

DISRUPTIONS = TableSpec(
    name="disruptions",
    description="Genes of the catalogue that are broken in contigs, which gene finders hide: where the proteins of a "
    "place cover less than 95 % of their reference, the reference is aligned to the DNA around them, with frameshifts.",
    columns=(
        _ACCESSION,
        _FILE,
        _CONTIG,
        Column("start", pa.int64(), "First base of what is left of the gene, on the contig as given, from 1", _CONTIGS),
        Column("end", pa.int64(), "Last base of it", _CONTIGS),
        _STRAND,
        Column("gene", TEXT, "The reference's gene", (WILD_TYPES["gene"],)),
        Column("reference", TEXT, "The reference protein", (WILD_TYPES["reference"],)),
        Column("kind", TEXT, "frameshift, stop, insertion, start_lost or end_lost", _CONTIGS),
        Column(
            "position", NUMBER, "On the reference, from 1: the first letter that is not made as it should be", _CONTIGS
        ),
        Column("name", TEXT, "As p.Tyr253CysfsTer5 or p.Lys141Ter, ins140_141 or 1-35del", _CONTIGS),
    ),
    key=("accession", "file", "contig", "start", "strand", "reference", "position", "kind"),
    kinds=PARALLEL,
)

_MEASURES = tuple(
    ALIGNMENTS[name] for name in ("score", "identity", "coverage_query", "coverage_reference", "query_length")
)
_ORGANISM = Column("organism", TEXT, "Organism in the catalogue's words", (ACCESSIONS["organism"],))
_OWNER = Column("accession", TEXT, "The genome or isolate", (PROTEINS["accession"],))
_ID = Column("protein_id", TEXT, "The protein in its file", (PROTEINS["protein_id"],))
_OWN_FILE = Column("file", TEXT, "Path of its file", (PROTEINS["file"],))
_GENE = Column("gene", TEXT, "The reference's gene", (WILD_TYPES["gene"],))
_LEVEL = Column("level", TEXT, "HIGH, MEDIUM, LOW or FAILED, by OPENGENOME_PROTEIN_LEVELS", _MEASURES)
_FOUND = Column("protein_sha256", TEXT, "SHA-256 of the protein's sequence", (PROTEINS["protein_sha256"],))
_BEST = Column("reference", TEXT, "The reference with the highest score", (ALIGNMENTS["reference"],))
_ENTRY = KNOWN_MUTATIONS["normal_form"]
_CHANGED = (SUBSTITUTIONS["short"], _ENTRY)
_SEEN = (*_CHANGED, NUCLEOTIDE_ALIGNMENTS["cigar"])
_KIND_OF_GENE = Column("molecule", TEXT, "protein, or dna: ribosomal RNA and promoters", (KNOWN_MUTATIONS["molecule"],))
_BASES = (CODING_SEQUENCES["sequence"], NUCLEOTIDE_ALIGNMENTS["sequence"])

ASSIGNED_PROTEINS = TableSpec(
    name="assigned_proteins",
    description="Each protein of an accession with the reference of its organism to which it aligns with the highest "
    "score; of equal ones, the first in the catalogue. Without a known organism, with the best reference of any.",
    columns=(
        _OWNER,
        _OWN_FILE,
        _ID,
        _FOUND,
        _ORGANISM,
        _GENE,
        Column("gene_hint", TEXT, "The gene's name that the header states", (PROTEINS["gene"],)),
        _BEST,
        _LEVEL,
        *(
            Column(name, SHARE, words, (ALIGNMENTS[name],))
            for name, words in (
                ("score", "Score, as EMBOSS writes it"),
                ("identity", "Identical columns divided by all columns, in [0, 1]"),
                ("coverage_query", "Share of the protein between the first and the last column"),
                ("coverage_reference", "Share of the reference between the first and the last column"),
            )
        ),
        Column("changes", NUMBER, "Changes from the reference; 0 also below an identity of 0.8", _CHANGED[:1]),
        Column("calls", NUMBER, "Known mutations", _CHANGED),
    ),
    key=("accession", "file", "protein_id"),
    settings=("levels",),
)

MUTATION_CALLS = TableSpec(
    name="mutation_calls",
    description="Known mutations found in each accession, by the catalogue's entries of its organism: in its proteins, "
    "and in the ribosomal RNA and promoters of its contigs. A complex of several changes is one call. What could not "
    "be examined is in mutation_status.",
    columns=(
        _OWNER,
        _ORGANISM,
        _KIND_OF_GENE,
        _OWN_FILE,
        Column(
            "protein_id",
            TEXT,
            "The protein in its file; of DNA the copy's place, as contig:start-end",
            (PROTEINS["protein_id"], NUCLEOTIDE_ALIGNMENTS["start"]),
        ),
        _GENE,
        Column("symbol", TEXT, "Name of the entry", (KNOWN_MUTATIONS["symbol"],)),
        Column("short", TEXT, "The entry on its reference, as S83L", (_ENTRY,)),
        Column("hgvs", TEXT, "HGVS name, as p.Ser83Leu", (_ENTRY,)),
        Column("kind", TEXT, "substitution, stop, insertion, deletion, indel, complex or frameshift", (_ENTRY,)),
        Column("position", NUMBER, "Position on the reference, from 1", (KNOWN_MUTATIONS["position"],)),
        Column("numbering", NUMBER, "Position as published", (KNOWN_MUTATIONS["numbering"],)),
        Column("ref_aa", TEXT, "Letters of the reference", (KNOWN_MUTATIONS["ref_aa"],)),
        Column("alt_aa", TEXT, "Letters in their place", (KNOWN_MUTATIONS["alt_aa"],)),
        Column("drug_class", TEXT, "Class of drugs", (KNOWN_MUTATIONS["drug_class"],)),
        Column("drug", TEXT, "Drug, or subclass", (KNOWN_MUTATIONS["drug"],)),
        Column("evidence", TEXT, "residue, haplotype, protein_end, disruption, or of DNA nucleotide", _SEEN),
        _LEVEL,
        Column("identity", SHARE, "Of the alignment, in [0, 1]", (ALIGNMENTS["identity"],)),
        Column("coverage_reference", SHARE, "Of the alignment, in [0, 1]", (ALIGNMENTS["coverage_reference"],)),
        _BEST,
        Column("reference_window", TEXT, "Aligned part of the reference, as 1-875", (ALIGNMENTS["reference_end"],)),
        Column("query_window", TEXT, "Aligned part of the protein or contig, as 1-875", (ALIGNMENTS["query_end"],)),
        Column("contig", TEXT, "The contig, if contigs are given; empty otherwise", _BASES),
        Column("contig_start", pa.int64(), "First base of the mutation on the contig as given, from 1", _BASES),
        Column("contig_end", pa.int64(), "Last base of it; of a deletion, bases on either side are named", _BASES),
        Column("strand", pa.int8(), "1, or -1 where the contig holds the reverse complement", _BASES),
        Column(
            "nucleotide_change",
            TEXT,
            "HGVS name on the reference's DNA: n.2058A>T, or of a protein its codons, c.247_249delinsTTG",
            _BASES,
        ),
        Column(
            "protein_sha256", TEXT, "SHA-256 of the protein's sequence; empty for DNA", (PROTEINS["protein_sha256"],)
        ),
        Column("file_sha256", TEXT, "SHA-256 of the file", (PROTEIN_FILES["sha256"],)),
        Column("catalogue_version", TEXT, "SHA-256 of the catalogue", (KNOWN_MUTATIONS["catalogue_version"],)),
    ),
    key=("accession", "file", "protein_id", "reference", "symbol", "position", "ref_aa", "alt_aa"),
    code_version="2",
    settings=("levels",),
)

MUTATION_STATUS = TableSpec(
    name="mutation_status",
    description="Each gene of the catalogue of an accession's organism, once: whether its known sites could be "
    "examined, and why not. Wild type is said only of a gene whose sites were all seen. An accession without a "
    "known organism "
    "has one row, with an empty gene.",
    columns=(
        _OWNER,
        _ORGANISM,
        _KIND_OF_GENE,
        _GENE,
        Column("examined", YES_NO, "Whether all known sites were seen", _SEEN),
        Column(
            "outcome",
            TEXT,
            "mutated, disrupted, wild_type, absent, truncated, edge, diverged, ambiguous, no_contigs or "
            "organism_unknown",
            (*_SEEN, DISRUPTIONS["name"]),
        ),
        Column("reason", TEXT, "Why it is so, in words", _SEEN),
        Column("calls", NUMBER, "Known mutations found", _SEEN),
        Column("sites", NUMBER, "Known sites of the gene", (KNOWN_MUTATIONS["position"],)),
        Column("sites_examined", NUMBER, "Those of them that the protein or copy shows", (ALIGNMENTS["cigar"],)),
        Column("protein_id", TEXT, "The protein that was examined; empty if there is none", (PROTEINS["protein_id"],)),
        _BEST,
        _LEVEL,
        Column("identity", SHARE, "Of the alignment, in [0, 1]", (ALIGNMENTS["identity"],)),
        Column("coverage_reference", SHARE, "Of the alignment, in [0, 1]", (ALIGNMENTS["coverage_reference"],)),
    ),
    key=("accession", "molecule", "gene"),
    code_version="2",
    settings=("levels",),
)

NOVEL_SUBSTITUTIONS = TableSpec(
    name="novel_substitutions",
    description="Substitutions at sites where mutations are known, but to another amino acid: no calls.",
    columns=(
        _OWNER,
        _ORGANISM,
        _ID,
        _GENE,
        _BEST,
        Column("position", NUMBER, "Position on the reference, from 1", (SUBSTITUTIONS["position"],)),
        Column("short", TEXT, "As S83L", (SUBSTITUTIONS["short"],)),
        Column("hgvs", TEXT, "HGVS name, as p.Ser83Leu", (SUBSTITUTIONS["hgvs"],)),
        Column("known", TEXT, "Entries of the catalogue at that site", (KNOWN_MUTATIONS["symbol"],)),
        Column("drug_class", TEXT, "Their classes of drugs", (KNOWN_MUTATIONS["drug_class"],)),
        _LEVEL,
    ),
    key=("accession", "protein_id", "reference", "position", "short"),
    settings=("levels",),
)

ACCESSION_MANIFEST = TableSpec(
    name="accession_manifest",
    description="Each accession in numbers: its files, proteins, levels, calls, and what could not be examined.",
    columns=(
        Column("accession", TEXT, "The genome or isolate", (ACCESSIONS["accession"],)),
        _ORGANISM,
        Column("files", pa.list_(TEXT), "Paths of its files", (ACCESSIONS["files"],)),
        Column("sha256", pa.list_(TEXT), "SHA-256 of each of them", (PROTEIN_FILES["sha256"],)),
        Column("proteins", NUMBER, "Proteins", (PROTEINS["protein_id"],)),
        Column("rejected", NUMBER, "Refused records", (REJECTED_PROTEINS["record"],)),
        Column("assigned", NUMBER, "Proteins with a reference", (ASSIGNED_PROTEINS["reference"],)),
        *(
            Column(name.lower(), NUMBER, f"Assigned proteins of level {name}", (ASSIGNED_PROTEINS["level"],))
            for name in ("HIGH", "MEDIUM", "LOW", "FAILED")
        ),
        Column("calls", NUMBER, "Known mutations found", (MUTATION_CALLS["symbol"],)),
        Column("novel", NUMBER, "Other substitutions at known sites", (NOVEL_SUBSTITUTIONS["short"],)),
        Column("catalogue_genes", NUMBER, "Genes of its organism's catalogue", (MUTATION_STATUS["gene"],)),
        Column("examined", NUMBER, "Those of them whose known sites were all seen", (MUTATION_STATUS["examined"],)),
        Column("identity", SHARE, "Median identity of the proteins of level HIGH", (ASSIGNED_PROTEINS["identity"],)),
        Column("length", SHARE, "Median letters of its proteins", (PROTEINS["length"],)),
        Column("catalogue_version", TEXT, "SHA-256 of the catalogue of proteins", (WILD_TYPES["catalogue_version"],)),
    ),
    key=("accession",),
)

_UNIT = (ACCESSION_MANIFEST["identity"], ASSIGNED_PROTEINS["identity"])

OUTLIERS = TableSpec(
    name="outliers",
    description="Accessions and references that differ from the others by a robust z of 3.5 or more, and proteins "
    "whose header names another gene than their reference. A question, not an error.",
    columns=(
        Column("unit", TEXT, "accession, reference or protein", _UNIT),
        Column("name", TEXT, "Its name", _UNIT),
        Column("measure", TEXT, "identity, length, unassigned_share, calls or gene_hint", _UNIT),
        Column("value", SHARE, "Its value; empty for gene_hint", _UNIT),
        Column("median", SHARE, "Median of all units", _UNIT),
        Column("robust_z", SHARE, "0.6745 (value - median) / MAD (Iglewicz & Hoaglin 1993)", _UNIT),
        Column("reason", TEXT, "The finding in words", _UNIT),
    ),
    key=("unit", "name", "measure"),
)

TABLES = (
    PROTEIN_FILES,
    ACCESSIONS,
    REJECTED_PROTEINS,
    PROTEINS,
    DISTINCT_PROTEINS,
    WILD_TYPES,
    KNOWN_MUTATIONS,
    REJECTED_MUTATIONS,
    ALIGNMENTS,
    SUBSTITUTIONS,
    NUCLEOTIDE_ALIGNMENTS,
    CODING_SEQUENCES,
    DISRUPTIONS,
    ASSIGNED_PROTEINS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    ACCESSION_MANIFEST,
    OUTLIERS,
)
