"""The group ``variants``: from reads of samples to annotated variants and a report for each sample.

Belongs here: the sample sheet, the reference and its index, quality control, alignment, calling by region, annotation,
figures and reports. Does not belong here: kernels (``kernels``), and fetching and verifying files (``intake``).

``tables`` declares what the assets make. Modules named after assets make them. ``passes`` run in workers. ``tools``
runs samtools and bcftools, each in a process of its own.
"""
