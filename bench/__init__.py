"""Benchmarks: one package each, run by `python -m bench.<package>` from the repository's root."""
