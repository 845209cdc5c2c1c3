"""gRPC: translates requests into calls of the engine, and errors into statuses. Decides nothing."""
