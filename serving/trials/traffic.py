"""Decide which slot answers a caller. Pure; the share is the same in every worker, pod and run."""

from hashlib import blake2b

from serving.protocol import Trial

BUCKETS = 10_000
"""Hundredths of a percent."""
LONGEST_KEY = 256
"""Bytes of a caller's key that count."""


def bucket(model: str, key: bytes) -> int:
    """Where `key` stands among all callers of `model`, 0 to BUCKETS - 1."""
    # Not hash(), which each process salts for itself; and not crc32, which spreads ids that count up unevenly.
    digest = blake2b(model.encode() + b"\0" + key[:LONGEST_KEY], digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def on_canary(trial: Trial, key: bytes) -> bool:
    """Does the candidate answer this caller? Who is on a canary stays on it while the percent only grows."""
    return trial.mode == "canary" and bucket(trial.version.name, key) < trial.percent * (BUCKETS / 100)
