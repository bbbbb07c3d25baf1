from . import images as images
from . import report_page as report_page
from . import report_pdf as report_pdf
from . import style as style
