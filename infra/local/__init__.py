"""The local stack: an S3 server, MLflow and serving as plain processes on 127.0.0.1, no Docker."""
