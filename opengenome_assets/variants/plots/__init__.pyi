from . import pileups as pileups
from . import report_sections as report_sections
from . import samples as samples
