"""Certificates of the transports: read, refused when they are no good, and read again when their files change."""
