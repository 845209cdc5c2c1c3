"""`python -m serving.client predict rows.csv`: a prediction for each row of a file.

Reads CSV, Parquet and lines of JSON, in constant memory. Ends with 0; with 1 and one line when it fails; with 2 when it
was asked wrongly.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.client import files
from serving.client.connection import PREDICT_PROBA, SECONDS, URL
from serving.client.errors import ClientError
from serving.client.files import NotAFile
from serving.client.sync_client import Client

MISUSED = 2


class NotPredicted(Exception):
    """Which rows of the file met which error."""


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        client = Client(asked.url, model=asked.model, timeout=asked.timeout)
    except ValueError as error:
        return _refuse(str(error), status=MISUSED)
    except ImportError as error:
        return _refuse(str(error), status=1)
    try:
        with client:
            _predict(client, asked)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ClientError, NotAFile, NotPredicted) as error:
        return _refuse(str(error), status=1)
    except OSError as error:
        return _refuse(f"{error.filename or asked.file}: {error.strerror}", status=1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving.client", description="Ask a Slipway server.")
    verbs = parser.add_subparsers(required=True, metavar="predict")
    predict = verbs.add_parser("predict", help="a prediction for each row of a file")
    predict.add_argument("file", type=Path, help=".csv, .parquet, or lines of JSON: .jsonl, .ndjson")
    predict.add_argument("--url", default=URL, help=f"http://…, https://… or grpc://HOST:PORT; {URL}")
    predict.add_argument("--model", help="its registered name; the server's first one, which gRPC cannot ask for")
    predict.add_argument("--proba", action="store_true", help="probabilities instead of labels")
    predict.add_argument(
        "--out", type=Path, metavar="FILE", help=".csv, .jsonl or .ndjson; else CSV goes to the output"
    )
    predict.add_argument("--timeout", type=float, default=SECONDS, help=f"seconds for 1000 rows, at most; {SECONDS:g}")
    return parser


def _predict(client: Client, asked: argparse.Namespace) -> None:
    params = {PREDICT_PROBA: True} if asked.proba else None
    with files.written(asked.out) as write:
        for first, chunk in _numbered(files.read(asked.file, texts=lambda: _texts(client))):
            try:
                write(client.predict(chunk, params=params))
            except ClientError as error:
                # The server counts the rows of what it was sent.
                raise NotPredicted(f"{asked.file}, counted from row {first}: {error}") from error


def _texts(client: Client) -> frozenset[str]:
    return frozenset(each.name for each in client.interface().inputs if each.datatype == "BYTES")


def _numbered(chunks: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    """With the number of each one's first row, counted from 1."""
    first = 1
    for chunk in chunks:
        yield first, chunk
        first += len(next(iter(chunk.values()), [])) if isinstance(chunk, dict) else len(chunk)


def _refuse(line: str, *, status: int) -> int:
    sys.stderr.write(f"error: {line}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
