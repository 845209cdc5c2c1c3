"""Who asks, and what they may ask for: the same rules over REST and gRPC. docs/access.md has the whole of it."""
