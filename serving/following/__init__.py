"""The syncer's side: read the registry, fetch and try what it says, post it to the workers."""
