"""All settings, in their groups."""

import base64
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from serving.settings.access import Auth, Tls
from serving.settings.answering import Batching, Candidate, Limits
from serving.settings.jobs import Jobs
from serving.settings.tracing import Tracing

Runtime = Literal["auto", "onnx", "native", "pyfunc"]
TrustMode = Literal["signed", "digest", "off"]
Packages = Literal["exact", "compatible", "off"]

_TYPE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
PREFIX = "SERVING_"
PLACEHOLDER = "change-me"
LOAD_SECONDS = 120


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, env_ignore_empty=True, extra="ignore"
    )

    models: Annotated[tuple[str, ...], NoDecode]
    """No default: serving the wrong model is worse than not starting. The first one answers /invocations."""

    offline: bool = False
    """Serve what the store has, and ask no registry."""

    tracking_uri: str = Field(default="", validate_default=True, validation_alias="MLFLOW_TRACKING_URI")
    """Must be set unless offline: MLflow's own default would be an empty database in the working directory."""

    deployment: str = Field(default="production", validation_alias="SLIPWAY_ENV")
    """Only `local` accepts placeholder secrets, so forgetting to set it must not."""

    s3_secret: SecretStr | None = Field(default=None, validation_alias="AWS_SECRET_ACCESS_KEY")
    """Read by boto3, not by us; here only to be refused when it is a placeholder."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)

    poll_seconds: PositiveFloat = 1
    """Part of the three seconds in which a promotion is seen."""

    store: Path = Path(".slipway/store")

    keep_versions: int = Field(default=2, ge=0)
    """Former versions of a model that stay in the store, beside those in use: going back to one needs no download."""

    largest_version: PositiveInt = 20 << 30
    """Bytes of one version's files."""

    webhook_secret: SecretStr | None = None
    """What MLflow signs its webhooks with; without it there is no endpoint for them."""

    drain_seconds: PositiveFloat = 30
    """How long a version that was swapped out may still work at the requests it has; then its host is ended."""

    linger_seconds: NonNegativeFloat = 0
    """How long it answers on after SIGTERM, not ready any more: what proxies and clients take to notice that."""

    finish_seconds: PositiveFloat = 10
    """How long requests that are under way after that may still take."""

    workers: int = Field(default=2, ge=1, le=128)
    """Processes that answer, each with all models in memory."""

    grpc_port: int = Field(default=8001, ge=0, le=65535)
    """0 turns gRPC off."""

    load_seconds: PositiveFloat = LOAD_SECONDS
    """How long a version may take to be loaded and to predict its own example; one that hangs is refused then."""

    runtime: Runtime = "auto"
    """`auto` takes the quickest that answers as the model does; the others are for comparing."""

    trust: TrustMode = "digest"
    """Which versions are served: `signed` only signed ones; `digest` those without a manifest too, with a warning."""

    trust_keys: Annotated[tuple[bytes, ...], NoDecode] = ()
    """Raw public Ed25519 keys. More than one, so that a new key can be told before the old one is taken away."""

    allow_code: bool = False
    """Serve versions that bring code along: pickles, PythonModels, modules of their own."""

    skops_types: Annotated[tuple[str, ...], NoDecode] = ()
    """What a skops file may hold beside `serving/admission/skops_types.txt`. What a version asks for does not count."""

    packages: Packages = "compatible"
    """How closely what is installed must be what a version requires; `compatible` lets minor releases differ."""

    batching: Batching = Batching()

    limits: Limits = Limits()

    candidate: Candidate = Candidate()

    jobs: Jobs = Jobs()

    auth: Auth = Auth()

    tracing: Tracing = Tracing()

    tls: Tls = Tls()

    largest_body: PositiveInt = 64 << 20
    """Bytes of one request; a stream is bounded by the line instead."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    log_format: Literal["auto", "json", "terminal"] = "auto"
    """`auto`: for people on a terminal, JSON elsewhere."""

    log_requests: Literal["off", "errors", "all"] = "errors"
    """`all` costs every request a line; of refused ones a few each second are told, however many there are."""

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        return tuple(name.strip() for name in text.split(",") if name.strip()) if isinstance(text, str) else text

    @field_validator("models")
    @classmethod
    def _nameable(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("name at least one registered model")
        if len(set(names)) != len(names):
            raise ValueError("a model is named twice")
        if bad := [name for name in names if set(name) & set("/:'\"") or name in {".", ".."}]:
            raise ValueError(f"not a registered model's name: {bad[0]}")
        return names

    @field_validator("trust_keys", mode="before")
    @classmethod
    def _decoded(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        return tuple(_public_key(each.strip()) for each in text.split(",") if each.strip())

    @field_validator("skops_types", mode="before")
    @classmethod
    def _types(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        names = tuple(each.strip() for each in text.split(",") if each.strip())
        if wrong := [each for each in names if not _TYPE.fullmatch(each)]:
            raise ValueError(f"not a type's full name, such as package.module.Class: {wrong[0][:80]!a}")
        return names

    @field_validator("tracking_uri")
    @classmethod
    def _an_address(cls, uri: str, info: ValidationInfo) -> str:
        if not uri and info.data.get("offline"):
            return uri
        if not uri:
            raise ValueError("not set")
        if "://" not in uri:  # MLflow would take it for a folder and make it
            raise ValueError("not an address such as http://127.0.0.1:5000")
        return uri

    @model_validator(mode="after")
    def _keys_to_trust(self) -> Self:
        if self.trust == "signed" and not self.trust_keys:
            raise ValueError(
                "SERVING_TRUST_KEYS: not set, and SERVING_TRUST=signed trusts only what its keys have signed; "
                "`python -m pipelines.keys` prints the line to set"
            )
        return self

    @model_validator(mode="after")
    def _no_placeholders(self) -> Self:
        secrets = {
            "AWS_SECRET_ACCESS_KEY": self.s3_secret,
            "SERVING_WEBHOOK_SECRET": self.webhook_secret,
            "SERVING_JOBS__CALLBACK_SECRET": self.jobs.callback_secret,
        }
        for name, secret in secrets.items():
            if self.deployment != "local" and secret and secret.get_secret_value().startswith(PLACEHOLDER):
                raise ValueError(
                    f"{name}: still the placeholder of .env.example; set a secret, or SLIPWAY_ENV=local "
                    f"(it is {self.deployment})"
                )
        return self

    def at(self, port: int) -> str:
        """`host:port`, with brackets around an IPv6 address."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"


def _public_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:  # among them binascii.Error
        key = b""
    if len(key) != 32:
        raise ValueError("not public keys: each is the base64 of 32 bytes, as `python -m pipelines.keys` prints it")
    return key
