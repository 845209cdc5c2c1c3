"""`python -m serving doctor`: look at all that a deployment depends on, change nothing, say what to do."""
