"""What the command line can do with jobs: submit a file, wait, fetch the result, cancel, queue again, list.

An id goes to the output and what is said about it to the errors, so that commands can be joined.
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from serving.client import files
from serving.client.errors import JobFailed, Source
from serving.client.files import NotAFile
from serving.client.job import Job
from serving.client.sync_client import Client

_S3 = "s3://"
_COLUMNS = ("id", "state", "version", "rows_done", "rows_total", "reason")


def add(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """To the parser's `verbs`, each with `run(client, asked)`; what all have is in `shared`."""
    submit = verbs.add_parser("submit", parents=[shared], help="have a file predicted later; prints the job's id")
    submit.add_argument("file", help=".csv, .parquet, .jsonl or .ndjson, sent as one request; or s3://…")
    submit.add_argument("output", nargs="?", help="s3://… to be written, for a file on S3")
    submit.add_argument("--keys", default="", metavar="A,B", help="columns of a file on S3 to stand in the output too")
    submit.add_argument("--version", help="a number, or latest; the one of now if not given")
    submit.add_argument("--key", help="the same key and rows again are the same job")
    submit.add_argument("--callback", metavar="URL", help="who is told of the end")
    submit.add_argument("--proba", action="store_true", help="probabilities instead of labels")
    submit.set_defaults(run=_submit)

    wait = _about_one(verbs, shared, "wait", "until a job has ended; fails unless it succeeded")
    wait.add_argument("--for", type=float, dest="patience", metavar="SECONDS", help="at most; the job goes on")
    wait.set_defaults(run=_wait)

    result = _about_one(verbs, shared, "result", "the predictions of a job")
    result.add_argument("--out", type=Path, metavar="FILE", help=".csv, .jsonl or .ndjson; else CSV goes to the output")
    result.set_defaults(run=_result)

    _about_one(verbs, shared, "status", "how far a job is").set_defaults(run=_status)
    _about_one(verbs, shared, "cancel", "end a job that has not ended").set_defaults(run=_cancel)
    _about_one(verbs, shared, "retry", "queue a job again that did not succeed").set_defaults(run=_retry)

    listed = verbs.add_parser("jobs", parents=[shared], help="the newest first, as CSV")
    listed.add_argument("--state", help="queued, running, succeeded, failed, dead, cancelled or expired")
    listed.add_argument("--most", type=int, default=100, metavar="N", help="how many; 100")
    listed.set_defaults(run=_jobs)


def _about_one(verbs: Any, shared: argparse.ArgumentParser, name: str, purpose: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = verbs.add_parser(name, parents=[shared], help=purpose)
    made.add_argument("id", help="as `submit` has printed it")
    return made


def _submit(client: Client, asked: argparse.Namespace) -> None:
    how = {"version": asked.version, "key": asked.key, "callback": asked.callback, "proba": asked.proba}
    if asked.file.startswith(_S3):
        if not asked.output:
            raise NotAFile("a file on S3 is predicted into another one: submit s3://… s3://…")
        job = client.submit_file(asked.file, asked.output, tuple(filter(None, asked.keys.split(","))), **how)
    else:
        texts = files.texts_of(client.interface)
        job = client.submit(_joined(files.read(Path(asked.file), texts=texts)), **how)
    sys.stdout.write(f"{job.id}\n")


def _wait(client: Client, asked: argparse.Namespace) -> None:
    job = client.wait(asked.id, timeout=asked.patience, seen=lambda job: sys.stderr.write(f"{_line(job)}\n"))
    if not job.succeeded:
        source = Source(job.model, str(job.version or ""))
        raise JobFailed(_line(job), code=job.code, source=source, job_id=job.id, state=job.state)


def _result(client: Client, asked: argparse.Namespace) -> None:
    with files.written(asked.out) as write:
        write(client.result(asked.id))


def _status(client: Client, asked: argparse.Namespace) -> None:
    _write([client.job(asked.id)])


def _cancel(client: Client, asked: argparse.Namespace) -> None:
    _write([client.cancel(asked.id)])


def _retry(client: Client, asked: argparse.Namespace) -> None:
    _write([client.retry(asked.id)])


def _jobs(client: Client, asked: argparse.Namespace) -> None:
    _write(islice(client.jobs(state=asked.state), asked.most))


def _write(jobs: Iterable[Job]) -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows([getattr(job, name) for name in _COLUMNS] for job in jobs)


def _line(job: Job) -> str:
    total = "" if job.rows_total is None else f" of {job.rows_total}"
    before = "" if job.position is None else f", {job.position} before it"
    because = f": {job.reason}" if job.reason else ""
    return f"{job.state}{before}, {job.rows_done}{total} rows{because}"


def _joined(chunks: Iterator[Any]) -> Any:
    """All of a file: columns, or a list of rows. A job is one request, and the server bounds its size."""
    whole: Any = None
    for chunk in chunks:
        if whole is None:
            whole = chunk
        elif isinstance(chunk, dict):
            for name, values in chunk.items():
                whole[name] += values
        else:
            whole += chunk
    return [] if whole is None else whole
