from . import mutations as mutations
from . import report_sections as report_sections
