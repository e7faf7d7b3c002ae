"""Warehouse: places, records, measures; published versions and the one place that asks them questions."""
