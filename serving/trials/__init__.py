"""A candidate beside Production: who asks it, what is counted, and when it is taken out."""
