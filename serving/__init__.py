"""Follows the registry: answers with whatever version it calls Production."""

__version__ = "0.1.0"
