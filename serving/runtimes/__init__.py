"""What computes a version's answers: its ONNX twin in the worker itself; in a host, its library or MLflow's pyfunc."""
