"""The HTTP service: the search API (OpenAPI) and page, and the rules for every request.

Belongs here: routes, guards, problems, headers, metrics, and the page. Does not belong here: searching (``search``).
"""
