"""Versions that need their own library run in hosts: processes forked from one that has the imports done.

A worker stays small and quick whatever it serves, and a model that crashes or hangs takes no worker with it.
"""
