"""What serving counts, where the numbers are, and how they are told to Prometheus. Knows no transport and no model."""
