"""`make bench`: how fast serving answers, beside bare FastAPI, an empty gRPC echo, `mlflow models serve` and others.

Not a test: figures depend on the machine. Every ratio is of turns that followed one another (`turns.py`).
"""
