"""The environment names of serving, as one frozen object that refuses to exist when something is wrong.

Read once, in `__main__`; everything else is handed the pieces it needs.
"""

import base64
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from serving.loopback import is_loopback

Runtime = Literal["auto", "onnx", "native", "pyfunc"]
TrustMode = Literal["signed", "digest", "off"]
Packages = Literal["exact", "compatible", "off"]

_TYPE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
PREFIX = "SERVING_"
PLACEHOLDER = "change-me"
LOAD_SECONDS = 120
KEY_HEADER = "x-caller-key"
MOST_ROWS = 1_000_000


class SettingsInvalid(Exception):
    """`lines`: one per setting, each naming it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class Batching(BaseModel, frozen=True, extra="forbid"):
    """Rows that wait while a model is busy are predicted together."""

    max_rows: PositiveInt = 256
    """Rows, not requests: one request may carry many. A larger request goes alone."""

    max_bytes: PositiveInt = 4 << 20

    max_waiting_rows: PositiveInt = 10_000
    """Beyond it callers are told to come back later."""

    max_waiting_bytes: PositiveInt = 256 << 20

    max_waiting_seconds: PositiveFloat = 0.5
    """For a burst. In an overload, which is what fills this, nobody waits for more than a few calls of the model."""


class Limits(BaseModel, frozen=True, extra="forbid"):
    """What callers may take of a worker."""

    connections: PositiveInt = 4096
    """Open at a time over HTTP, and as many over gRPC, in one worker; who comes then is told to come back later."""

    head_seconds: PositiveFloat = 10
    """Until a request's head is here, from its first byte or from when the connection was made."""

    body_seconds: PositiveFloat = 30
    """In which a kilobyte more of a body must come, and more of an answer be taken."""

    lag_seconds: PositiveFloat = 0.1
    """In which all who ask could be answered, were they to ask at once; if not, a late loop refuses some."""

    idle_seconds: PositiveFloat = 75
    """How long a connection is kept that nothing is asked on. Proxies should keep theirs for less."""

    rows: PositiveInt = MOST_ROWS
    """Of one request; what has more is a job, or a file to score. A stream of lines may have any number."""

    rate: PositiveFloat | None = None
    """Requests a second of each key or token that has no rate of its own; none if not set."""

    burst: PositiveInt = 20
    """Requests that may come at once, when there were none for a while."""


class Candidate(BaseModel, frozen=True, extra="forbid"):
    """Who hears a canary, and when a candidate is taken out of traffic."""

    key_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$", to_lower=True)] = KEY_HEADER
    """The same caller always gets the same version; who sends no such header is told apart by the request's id."""

    max_error_rate: float = Field(default=0.02, ge=0, le=1)
    """Share of its requests that may fail beyond Production's own share."""

    max_p99_ratio: float = Field(default=2, ge=1)
    """How many times Production's p99 its own may be."""

    min_requests: PositiveInt = 50
    """Fewer say nothing of a p99."""


class Auth(BaseModel, frozen=True, extra="forbid"):
    """Who may ask. Keys and tokens may be used side by side; with neither, everybody may."""

    keys: Path | None = None
    """The file that `python -m serving keys` writes."""

    issuer: str | None = None
    """Of JSON Web Tokens, as their `iss` has it."""

    audience: str | None = None
    """What their `aud` must name: this deployment, and no other service of the same issuer."""

    jwks: str | None = None
    """Where the issuer's public keys are: https://..., or a file."""

    anyone: bool = False
    """Let everybody in, though others than this machine can reach the port."""

    @property
    def asks(self) -> bool:
        """Must a caller say who it is?"""
        return self.keys is not None or self.jwks is not None

    @field_validator("keys")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path is not None and not _is_file(path):
            raise ValueError(f"there is no file {path}; `python -m serving keys create` makes it")
        return path

    @field_validator("jwks")
    @classmethod
    def _protected(cls, place: str | None) -> str | None:
        if place is None or "://" not in place:
            if place is not None and not _is_file(Path(place)):
                raise ValueError(
                    f"there is no file {place}; it is to hold the issuer's public keys, or use https://..."
                )
            return place
        parts = urlsplit(place)  # by its host, which is not what an address begins with
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            return place
        raise ValueError("must be https://..., or a file: who can change the keys can make tokens")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = {
            "SERVING_AUTH__ISSUER": self.issuer,
            "SERVING_AUTH__AUDIENCE": self.audience,
            "SERVING_AUTH__JWKS": self.jwks,
        }
        missing = [name for name, value in names.items() if not value]
        if 0 < len(missing) < len(names):
            raise ValueError(f"tokens need {', '.join(missing)} too")
        return self


class Jobs(BaseModel, frozen=True, extra="forbid"):
    """Requests that are answered later."""

    database: SecretStr | None = None
    """`sqlite:///PATH` or `postgresql+psycopg://...`; without it there are no jobs."""

    place: str | None = None
    """`s3://BUCKET/PREFIX` for what is too large for the database; without it such jobs are refused."""

    files: Annotated[tuple[str, ...], NoDecode] = ()
    """Prefixes on S3 whose files a job may read and write; without any a job has a body."""

    public_s3: str | None = None
    """The S3 server as callers reach it, for the addresses that results are fetched from; else as serving does."""

    url_seconds: PositiveInt = 3600
    """How long such an address is good for; at most a week."""

    inline_bytes: PositiveInt = 256 << 10
    """Larger bodies and results are kept on S3."""

    workers: int = Field(default=1, ge=1, le=128)
    """Processes that `python -m serving jobs` runs."""

    at_once: int = Field(default=8, ge=1, le=1024)
    """Jobs that one of them works at side by side."""

    attempts: PositiveInt = 5
    """How often a model that fails is asked before the job is given up on."""

    backoff_seconds: PositiveFloat = 2
    """Between the first two of them; each further wait is twice as long."""

    most_starts: PositiveInt = 20
    """A job that was begun so often and never ended is what ends its workers."""

    most_waiting: PositiveInt = 100_000

    expire_seconds: PositiveFloat = 86_400
    """A job that has not ended by then is given up on."""

    keep_seconds: PositiveFloat = 86_400
    """How long a job and its result are kept after its end."""

    callback_secret: SecretStr | None = None
    """What callbacks are signed with; without it there are none."""

    callback_attempts: PositiveInt = 8

    private_callbacks: bool = False
    """May a callback go to an address that is not on the public internet?"""

    @field_validator("files", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        return tuple(each.strip() for each in text.split(",") if each.strip()) if isinstance(text, str) else text

    @field_validator("place", "files")
    @classmethod
    def _on_s3(cls, given: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for each in (given,) if isinstance(given, str) else given or ():
            if not re.fullmatch(r"s3://[^/]+(/.*)?", each):
                raise ValueError("not a bucket and a prefix, such as s3://slipway/jobs")
        return given

    @field_validator("database")
    @classmethod
    def _known_database(cls, given: SecretStr | None) -> SecretStr | None:
        known = "sqlite:///", "postgresql+psycopg://"
        if given is not None and not given.get_secret_value().startswith(known):
            raise ValueError(f"must begin with {' or '.join(known)}")
        return given


class Tracing(BaseModel, frozen=True, extra="forbid"):
    """Which requests are told to an OpenTelemetry collector, and to which one."""

    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")] | None = None
    """Its address for OTLP over HTTP, such as http://127.0.0.1:4318; without it there are no traces."""

    sample_ratio: float = Field(default=1, ge=0, le=1)
    """Of the requests whose callers have not decided it."""

    service: Annotated[str, StringConstraints(min_length=1)] = "slipway"
    """What they are filed under."""


class Tls(BaseModel, frozen=True, extra="forbid"):
    """PEM files, for REST and gRPC alike; they are read again when they change."""

    certificate: Path | None = None
    """With the certificates between it and its CA below it; without one serving speaks plain HTTP and gRPC."""

    key: Path | None = None

    client_ca: Path | None = None
    """Clients must show a certificate that one of these has signed; without it they need none."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("SERVING_TLS__CERTIFICATE and SERVING_TLS__KEY: one is set without the other; set both")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("SERVING_TLS__CLIENT_CA: without SERVING_TLS__CERTIFICATE nobody is asked for one; set it")
        return self


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


def _is_file(path: Path) -> bool:
    """ValueError where this user may not look."""
    try:
        return path.is_file()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; the user that serving runs as must be able to read it") from error


def _public_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:  # among them binascii.Error
        key = b""
    if len(key) != 32:
        raise ValueError("not public keys: each is the base64 of 32 bytes, as `python -m pipelines.keys` prints it")
    return key


def env_names() -> frozenset[str]:
    """Every environment name this room reads."""
    groups = _groups()
    plain = {_env_name(field) for field in Settings.model_fields if field not in groups}
    return frozenset(plain | {_env_name(name, field) for name, each in groups.items() for field in each.model_fields})


def _groups() -> dict[str, type[BaseModel]]:
    fields = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in fields.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def read(models: tuple[str, ...] = ()) -> Settings:
    """Settings from the environment, but for `models`, for a command that is told them.

    SettingsInvalid has a line for each one that is missing or wrong.
    """
    try:
        return Settings(models=models) if models else Settings()
    except SettingsError as error:  # the name of a group, which is read as JSON
        wrong = [_group(name) for name in _groups() if f'"{name}"' in str(error)]
        raise SettingsInvalid(wrong or [str(error)]) from error
    except ValidationError as error:
        raise SettingsInvalid(
            [_line(problem["loc"], problem["msg"], problem["type"]) for problem in error.errors()]
        ) from error


def _group(name: str) -> str:
    return (
        f"{_env_name(name)}: stands for many settings and is none; set {_env_name(name)}__..., as .env.example has them"
    )


def _line(where: tuple[int | str, ...], message: str, kind: str) -> str:
    if kind == "model_type" and len(where) == 1:
        return _group(str(where[0]))
    reason = "not set" if kind == "missing" else message.removeprefix("Value error, ")
    whole = not where or where in {(name,) for name in _groups()}  # a rule about several names, which says which
    return reason if whole else f"{_env_name(*map(str, where))}: {reason}"


def _env_name(field: str, *below: str) -> str:
    """Pydantic names a wrong setting by its alias when it has one, else by its field."""
    known = Settings.model_fields.get(field)
    if known is None:
        return field
    return str(known.validation_alias) if known.validation_alias else PREFIX + "__".join((field, *below)).upper()
