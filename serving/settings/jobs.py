"""Where jobs are kept, who works at them, and when one is given up on."""

import re
from typing import Annotated

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, SecretStr, field_validator
from pydantic_settings import NoDecode


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
