"""The candidates of a training: what each fits, and how."""
