"""Shill-bidding detection: data -> training -> bundle -> predictor -> API -> prediction log.

Each package may import those before it in that line, never those after it.
"""

__version__ = "0.1.0"
