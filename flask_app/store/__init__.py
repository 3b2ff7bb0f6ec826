"""Stores of bundles: versions that never change, and one pointer that says which is in use."""
