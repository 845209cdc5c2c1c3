"""Requests that are answered later: what a job is, where all of them are kept, and the desk that takes them."""
