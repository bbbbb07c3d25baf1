from . import codon_names as codon_names
from . import codons as codons
from . import kmers as kmers
from . import profiles as profiles
from . import report_sections as report_sections
from . import sequences as sequences
