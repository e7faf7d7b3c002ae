"""Pipelines: read the offices' files, check, keep or quarantine, and hand batches to the warehouse."""
