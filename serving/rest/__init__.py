"""HTTP: translates requests into calls of the engine, and errors into problems. Decides nothing."""
