"""Make a version again from git and DVC, and compare; who else saw its data."""
