"""What the settings alone give away. Pure."""

from collections.abc import Iterator, Mapping

from serving.doctor.finding import Finding, Scene, fine, trouble
from serving.settings import PLACEHOLDER

_SECRETS = ("_KEY", "_PASSWORD", "_SECRET", "_TOKEN")


def settings(scene: Scene) -> Iterator[Finding]:
    names = placeholders(scene.env)
    if not names:
        models, place = ", ".join(scene.settings.models), scene.settings.deployment
        yield fine("settings", f"read; SLIPWAY_ENV is {place}, models: {models}")
    elif scene.settings.deployment == "local":
        yield trouble("secret-placeholder", f"{', '.join(names)}: still as in .env.example")
    else:
        yield trouble(
            "secret-placeholder-outside",
            f"{', '.join(names)}: still as in .env.example, and SLIPWAY_ENV is {scene.settings.deployment}",
        )


def placeholders(env: Mapping[str, str]) -> list[str]:
    return sorted(name for name, value in env.items() if name.endswith(_SECRETS) and value.startswith(PLACEHOLDER))


def trust(scene: Scene) -> Iterator[Finding]:
    chosen = scene.settings
    is_local = chosen.deployment == "local"
    if chosen.trust == "signed":
        yield fine("trust", f"signed versions only, by {len(chosen.trust_keys)} key(s)")
    elif is_local:
        yield fine("trust", f"SERVING_TRUST is {chosen.trust}, which will do on a machine of one's own")
    else:
        yield trouble("trust-loose", f"SERVING_TRUST is {chosen.trust}: unsigned versions are served")
    if chosen.allow_code and not is_local:
        yield trouble("code-allowed", "SERVING_ALLOW_CODE is true")
