"""Become the MLflow tracking server: PostgreSQL behind it, artifacts proxied to the bucket `mlflow`.

`python -m infra.compose.tracking` reads the POSTGRES_* and AWS_* names, brings the database's tables to this MLflow's
version, and replaces itself with the server.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from mlflow.db import upgrade
from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import OperationalError

from infra.compose.artifacts import SCHEME
from infra.local.tracking import BUCKET, environment

MIGRATION = 0x511B_3A11
"""The PostgreSQL advisory lock of whoever migrates; any number that others on the server do not use."""
MAKING_ACCOUNTS = MIGRATION + 1
"""The one of whoever makes the second database: who holds the first may hold it until his connection is gone."""
ACCOUNTS = "mlflow_auth"
"""The database of who may do what; `basic_auth.ini` names it, too."""
AUTH_CONFIG = Path(__file__).parent / "basic_auth.ini"

VERSION_DIFFERS = """
DO $$ BEGIN
  IF to_regoperator('<>(integer, varchar)') IS NULL THEN
    CREATE FUNCTION integer_differs(integer, varchar) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT
      AS 'SELECT $1 <> $2::integer';
    CREATE OPERATOR <> (LEFTARG = integer, RIGHTARG = varchar, FUNCTION = integer_differs);
  END IF;
END $$
"""
"""MLflow 3.17 compares a version's number with text when a promotion archives the former version, which psycopg 3 hands
on as text and PostgreSQL refuses: https://github.com/mlflow/mlflow/issues/24592."""


def database(env: Mapping[str, str]) -> str:
    """The database's address, whatever characters the password has."""
    return URL.create(
        "postgresql+psycopg",  # without `+psycopg` SQLAlchemy looks for psycopg2
        username=env["POSTGRES_USER"],
        password=env["POSTGRES_PASSWORD"],
        host=env["POSTGRES_HOST"],
        database=env["POSTGRES_DB"],
    ).render_as_string(hide_password=False)


def ensure_accounts(address: str) -> None:
    """Make the database of MLflow's accounts if there is none; its tables MLflow makes by itself."""
    with create_engine(address, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MAKING_ACCOUNTS})
        known = text("SELECT 1 FROM pg_database WHERE datname = :name")
        if connection.execute(known, {"name": ACCOUNTS}).first() is None:
            connection.exec_driver_sql(f"CREATE DATABASE {ACCOUNTS}")
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MAKING_ACCOUNTS})


def migrate(address: str) -> None:
    """Several servers may start at once: one migrates, the others wait and find nothing to do."""
    with create_engine(address).connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION})  # freed with the connection
        connection.commit()  # and no transaction stays open for the migration to wait for
        upgrade.main([address], standalone_mode=False)  # `mlflow db upgrade`, but not in a list of processes
        connection.exec_driver_sql(VERSION_DIFFERS)
        connection.commit()


def command() -> list[str]:
    """The server's command line. The database's address holds a password, so it is not in it."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "0.0.0.0", "--port", "5000"),  # noqa: S104 - a container's own network; who may call is said in compose # nosec B104
        *("--artifacts-destination", f"{SCHEME}://{BUCKET}"),
        *("--workers", "2"),  # each costs 260 MB
        *("--app-name", "basic-auth"),
    ]


def addresses(env: Mapping[str, str]) -> dict[str, str]:
    """Of the two databases, and where to read of the second."""
    return {
        "MLFLOW_BACKEND_STORE_URI": database(env),
        "MLFLOW_AUTH_CONFIG_PATH": str(AUTH_CONFIG),
        "PGHOST": env["POSTGRES_HOST"],
        "PGUSER": env["POSTGRES_USER"],
        "PGPASSWORD": env["POSTGRES_PASSWORD"],
    }


def main() -> None:
    address = database(os.environ)
    try:
        migrate(address)
        ensure_accounts(address)
    except OperationalError as refused:
        sys.exit(f"slipway: PostgreSQL does not let us in: {str(refused.orig).splitlines()[0]}")
    program = command()
    os.execve(program[0], program, {**environment(os.environ), **addresses(os.environ)})


if __name__ == "__main__":
    main()
