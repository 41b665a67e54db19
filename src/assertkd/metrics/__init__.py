"""Metrics of one prediction against its reference, each in [0, 1]; one file each, and a registry."""
