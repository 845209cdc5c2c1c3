"""The environment names of serving, as one frozen object that refuses to exist when something is wrong.

Read once, in `__main__`; everything else is handed the pieces it needs.
"""

from serving.settings.access import Auth, Tls
from serving.settings.answering import KEY_HEADER, MOST_ROWS, Batching, Candidate, Limits
from serving.settings.jobs import Jobs
from serving.settings.reading import SettingsInvalid, env_names, read
from serving.settings.tracing import Tracing
from serving.settings.whole import LOAD_SECONDS, PLACEHOLDER, PREFIX, Packages, Runtime, Settings, TrustMode

__all__ = [
    "KEY_HEADER",
    "LOAD_SECONDS",
    "MOST_ROWS",
    "PLACEHOLDER",
    "PREFIX",
    "Auth",
    "Batching",
    "Candidate",
    "Jobs",
    "Limits",
    "Packages",
    "Runtime",
    "Settings",
    "SettingsInvalid",
    "Tls",
    "Tracing",
    "TrustMode",
    "env_names",
    "read",
]
