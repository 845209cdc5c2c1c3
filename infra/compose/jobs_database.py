"""Give serving a database for its jobs at PostgreSQL, and a role that owns it and may enter no other of the stack's.

`python -m infra.compose.jobs_database` is a job of docker-compose.yml, run at each `up` as PostgreSQL's superuser, once
MLflow has made its databases: role and database are made where there are none, the role gets the password of now, and
what an earlier release made as superuser becomes the role's.
"""

import os
import sys
from collections.abc import Mapping
from typing import LiteralString

import psycopg
from psycopg import sql

DATABASE = "slipway_jobs"
"""SERVING_JOBS__DATABASE in docker-compose.yml names it, too."""
COMMON = "postgres"
"""Empty, and there from the start; DBOS looks from here whether its own database is there."""
SECONDS = 30

ROLE = "ALTER ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {password}"
OTHERS = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname NOT IN (%s, %s)"
# An index goes with its table, and so does a sequence that a column has made.
NOT_YET_ITS_OWN = r"""
WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
     role AS (SELECT oid, rolname FROM pg_roles WHERE rolname = %s)
SELECT format('ALTER SCHEMA %%I OWNER TO %%I', nspname, rolname)
  FROM role, pg_namespace schema JOIN ours USING (oid, nspname)
  WHERE nspowner <> role.oid AND nspname <> 'public'
UNION ALL
SELECT format('ALTER TABLE %%I.%%I OWNER TO %%I', nspname, relname, rolname)
  FROM role, pg_class relation JOIN ours ON ours.oid = relnamespace
  WHERE relowner <> role.oid AND relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid
      AND relation.relkind = 'S' AND deptype IN ('a', 'i') AND refobjsubid > 0)
UNION ALL
SELECT format('ALTER ROUTINE %%s OWNER TO %%I', routine.oid::regprocedure, rolname)
  FROM role, pg_proc routine JOIN ours ON ours.oid = pronamespace
  WHERE proowner <> role.oid
"""


class Refused(Exception):
    """What .env says wrong."""


def ensure(env: Mapping[str, str]) -> None:
    """Refused; psycopg.Error when the server is not there or refuses, most likely for the superuser's password."""
    role = env["POSTGRES_SERVING_USER"]
    if role == env["POSTGRES_USER"]:
        raise Refused("POSTGRES_SERVING_USER has to be another than POSTGRES_USER, who may do anything there")
    with _connected(env, COMMON) as connection:
        _make(connection, role, env["POSTGRES_SERVING_PASSWORD"])
        for (other,) in connection.execute(OTHERS, [DATABASE, COMMON]).fetchall():
            _run(connection, "REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC", name=sql.Identifier(other))
    with _connected(env, DATABASE) as connection:
        for (statement,) in connection.execute(NOT_YET_ITS_OWN, [role]).fetchall():
            connection.execute(statement)


def _make(connection: "psycopg.Connection[tuple[str, ...]]", role: str, password: str) -> None:
    names = {"role": sql.Identifier(role), "name": sql.Identifier(DATABASE)}
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
        _run(connection, "CREATE ROLE {role}", **names)
    # Hashed here: whatever the server logs of statements, no password is among it.
    hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    _run(connection, ROLE, **names, password=sql.Literal(hashed.decode()))
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
        _run(connection, "CREATE DATABASE {name} OWNER {role}", **names)
    _run(connection, "ALTER DATABASE {name} OWNER TO {role}", **names)


def _run(connection: "psycopg.Connection[tuple[str, ...]]", statement: LiteralString, **parts: sql.Composable) -> None:
    connection.execute(sql.SQL(statement).format(**parts))


def _connected(env: Mapping[str, str], database: str) -> "psycopg.Connection[tuple[str, ...]]":
    return psycopg.connect(
        host=env["POSTGRES_HOST"],
        user=env["POSTGRES_USER"],
        password=env["POSTGRES_PASSWORD"],
        dbname=database,
        autocommit=True,
        connect_timeout=SECONDS,
    )


def main() -> None:
    try:
        ensure(os.environ)
    except (Refused, psycopg.Error) as refused:
        sys.exit(f"slipway: PostgreSQL has no place for serving's jobs: {str(refused).strip().splitlines()[0]}")


if __name__ == "__main__":
    main()
