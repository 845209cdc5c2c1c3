"""Notice that a running program's files were wiped under it; it must start again to make new ones.

rclone would go on listing wiped objects from its memory, and MLflow on writing to a database that is no longer there.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from infra.local.buckets import BUCKETS
from infra.local.programs import Program
from infra.local.settings import Settings


def files_vanished(settings: Settings, program: Program) -> bool:
    """Only asked of a program that answers: by then it has made its files."""
    if program.name == "s3":
        return not all((settings.state / "s3" / bucket).is_dir() for bucket in BUCKETS)
    if program.name == "mlflow":
        return not _has_tables(settings.state / "mlflow.db")
    return False  # serving fetches its models again by itself


def _has_tables(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone())
    except sqlite3.OperationalError as locked_or_gone:
        return "unable to open" not in str(locked_or_gone)
