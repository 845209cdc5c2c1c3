"""The guard that the settings ask for, and what is wrong with them."""

from pathlib import Path

from serving.access import key_file
from serving.access.guard import Guard
from serving.access.issuer import IssuerKeys
from serving.access.key_file import KeysUnreadable
from serving.access.keys import Keys
from serving.access.rates import Rates
from serving.access.tokens import Expected, Tokens
from serving.loopback import is_loopback
from serving.settings import Auth, Limits


def guard_of(auth: Auth, limits: Limits, shared: Path | None) -> Guard | None:
    """None where anybody may ask anything. `shared`: a folder that all workers have. KeysUnreadable."""
    if not auth.asks:
        return None
    keys = Keys(auth.keys) if auth.keys is not None else None
    tokens = None
    if auth.issuer and auth.audience and auth.jwks:
        tokens = Tokens(Expected(auth.issuer, auth.audience), IssuerKeys(auth.jwks))
    rates = Rates(limits.rate, limits.burst, None if shared is None else shared / "rates")
    return Guard(keys, tokens, rates)


def lacking(auth: Auth, host: str) -> list[str]:
    """A line for each reason not to listen on `host`."""
    if not (auth.asks or auth.anyone or is_loopback(host)):
        line = (
            f"SERVING_HOST: {host} lets other machines in, and nobody is asked for a key: `python -m serving keys "
            "create` makes one, SERVING_AUTH__KEYS names their file; SERVING_AUTH__ANYONE=true does without"
        )
        return [line]
    try:
        if auth.keys is not None:
            key_file.read(auth.keys)
    except KeysUnreadable as error:
        return [f"SERVING_AUTH__KEYS: {error}"]
    return []
