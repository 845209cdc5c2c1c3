"""`python -m serving jobs`: the processes that answer what was queued."""
