"""`python -m serving score`: a file of rows in, a file of predictions out, by a version of a registered model."""
