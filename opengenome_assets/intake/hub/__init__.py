"""The Hugging Face Hub: listing a dataset at a commit, and fetching its files, verified and resumable.

Belongs here: requests, the content-addressed store, downloads. Does not belong here: which of the files are used
(``intake.sources``). Only this room imports huggingface_hub.
"""
