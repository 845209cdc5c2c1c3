"""Ask a Slipway server, from Python or the command line.

Needs httpx; numpy, pandas, pyarrow and grpcio only where they are used.
"""

from serving.client.async_client import AsyncClient
from serving.client.errors import (
    Busy,
    CallerError,
    ClientError,
    DeadlineExpired,
    InvalidInput,
    JobConflict,
    JobFailed,
    JobNotEnded,
    JobsFull,
    JobsUnreachable,
    KeyReused,
    NoJobs,
    NoProbabilities,
    NotReady,
    PredictionFailed,
    QueueFull,
    RowsRefused,
    ServerFailed,
    TooLarge,
    UnknownJob,
    UnknownModel,
    UnknownVersion,
    Unreachable,
    UnreadableAnswer,
    UnsupportedEncoding,
    UnsupportedMedia,
    WaitExpired,
)
from serving.client.job import Job
from serving.client.replies import Answer
from serving.client.retry import Retry
from serving.client.sync_client import Client

__all__ = [
    "Answer",
    "AsyncClient",
    "Busy",
    "CallerError",
    "Client",
    "ClientError",
    "DeadlineExpired",
    "InvalidInput",
    "Job",
    "JobConflict",
    "JobFailed",
    "JobNotEnded",
    "JobsFull",
    "JobsUnreachable",
    "KeyReused",
    "NoJobs",
    "NoProbabilities",
    "NotReady",
    "PredictionFailed",
    "QueueFull",
    "Retry",
    "RowsRefused",
    "ServerFailed",
    "TooLarge",
    "UnknownJob",
    "UnknownModel",
    "UnknownVersion",
    "Unreachable",
    "UnreadableAnswer",
    "UnsupportedEncoding",
    "UnsupportedMedia",
    "WaitExpired",
]
