"""The folder of versions that workers serve from: what the syncer puts into it, and what the workers read there."""
