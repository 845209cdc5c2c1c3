"""The gate's way to its figures, the report, and what a candidate's trial comes to."""
