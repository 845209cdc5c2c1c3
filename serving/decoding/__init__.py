"""What a caller sent becomes arrays: a signature is compiled once into a plan, as exact as MLflow and much quicker."""
