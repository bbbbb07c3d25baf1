"""The Hugging Face Hub: listing a dataset at a commit, and fetching its files, verified and resumed.

Belongs here: requests, the content-addressed store, downloads. Does not belong here: which of the files are used
(``intake.sources``). This is the one room that imports huggingface_hub.
"""
