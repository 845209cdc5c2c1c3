"""`make bench`: how fast serving answers, beside bare FastAPI, an empty gRPC echo and `mlflow models serve`.

Not a test: figures depend on the machine. Every ratio is of figures from one run.
"""
