"""`python -m serving.client predict rows.csv`: a prediction for each row of a file; `job_verbs.py` has the other verbs.

Reads CSV, Parquet and lines of JSON, in constant memory. Ends with 0; with 1 and one line when it fails; with 2 when it
was asked wrongly.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.client import files, job_verbs
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
        shown = {"ca": asked.ca, "certificate": asked.certificate, "certificate_key": asked.certificate_key}
        client = Client(asked.url, model=asked.model, timeout=asked.timeout, **shown)
    except ValueError as error:
        return _refuse(str(error), status=MISUSED)
    except ImportError as error:
        return _refuse(str(error), status=1)
    try:
        with client:
            asked.run(client, asked)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ClientError, NotAFile, NotPredicted, ImportError) as error:
        return _refuse(str(error), status=1)
    except OSError as error:
        return _refuse(f"{error.filename or getattr(asked, 'file', 'output')}: {error.strerror}", status=1)
    return 0


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--url", default=URL, help=f"http(s)://… or grpc(s)://HOST:PORT; {URL}")
    shared.add_argument("--model", help="its registered name; the server's first one, which gRPC cannot ask for")
    shared.add_argument("--timeout", type=float, default=SECONDS, help=f"seconds for a request, at most; {SECONDS:g}")
    shared.add_argument(
        "--ca", metavar="FILE", help="who signed the server's certificate; else whom this machine trusts"
    )
    shared.add_argument("--certificate", metavar="FILE", help="of the client, for a server that asks for one")
    shared.add_argument("--certificate-key", metavar="FILE", help="of that certificate")
    parser = argparse.ArgumentParser(prog="python -m serving.client", description="Ask a Slipway server.")
    verbs = parser.add_subparsers(required=True, metavar="predict | submit | wait | result | …")
    predict = verbs.add_parser("predict", parents=[shared], help="a prediction for each row of a file")
    predict.add_argument("file", type=Path, help=".csv, .parquet, or lines of JSON: .jsonl, .ndjson")
    predict.add_argument("--proba", action="store_true", help="probabilities instead of labels")
    predict.add_argument(
        "--out", type=Path, metavar="FILE", help=".csv, .jsonl or .ndjson; else CSV goes to the output"
    )
    predict.set_defaults(run=_predict)
    job_verbs.add(verbs, shared)
    return parser


def _predict(client: Client, asked: argparse.Namespace) -> None:
    params = {PREDICT_PROBA: True} if asked.proba else None
    with files.written(asked.out) as write:
        for first, chunk in _numbered(files.read(asked.file, texts=files.texts_of(client.interface))):
            try:
                write(client.predict(chunk, params=params))
            except ClientError as error:
                # The server counts the rows of what it was sent.
                raise NotPredicted(f"{asked.file}, counted from row {first}: {error}") from error


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
