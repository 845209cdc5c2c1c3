"""Every metric there is: name, kind, labels, and the question it answers. `docs/metrics.md` lists the same ones.

Every label has few values: models are those of SERVING_MODELS, versions the latest ones, all others are listed here.
Nothing that a caller sends becomes a label.
"""

from collections.abc import Iterator
from enum import IntEnum

from serving import errors
from serving.errors import FollowFailed, ServingError
from serving.metrics.shapes import Axis, Computed, Group, Kind, Metric, axis

OK, GONE, INTERNAL, OTHER = "ok", "caller-gone", "internal-error", "other"
TOO_SLOW = "too-slow"
KINDS = ("supervisor", "fork-server", "syncer", "worker", "job-worker", "host")
"""Of processes."""
SLOTS = ("production", "candidate")
PHASES = ("queue", "decode", "predict", "encode", "total")

SECONDS = (
    *(2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""From a twin's prediction of one row to what no caller waits for."""
LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0)


class Route(IntEnum):
    """The ways to ask, by their place in ROUTES."""

    INVOCATIONS = 0
    LINES = 1
    INFER = 2
    OTHER_HTTP = 3
    MODEL_INFER = 4
    MODEL_STREAM_INFER = 5
    PREDICT = 6
    PREDICT_STREAM = 7
    PREDICT_COLLECT = 8
    OTHER_GRPC = 9


ROUTES = (
    ("rest", "invocations"),
    ("rest", "lines"),
    ("rest", "infer"),
    ("rest", "other"),
    ("grpc", "ModelInfer"),
    ("grpc", "ModelStreamInfer"),
    ("grpc", "Predict"),
    ("grpc", "PredictStream"),
    ("grpc", "PredictCollect"),
    ("grpc", "other"),
)


def _codes() -> Iterator[str]:
    """What a request may end with: an answer, an error of ours, or what HTTP itself refuses."""
    yield OK
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, ServingError) and not issubclass(each, FollowFailed):
            yield each.code
    yield from ("not-found", "method-not-allowed", TOO_SLOW, GONE, INTERNAL, OTHER)


CODES = tuple(dict.fromkeys(_codes()))

_WAYS = Axis(("protocol", "route"), ROUTES)

ANSWERS = Group(
    "answers",
    ("model", "version"),
    (
        Metric(
            "slipway_requests_total",
            "counter",
            "How many requests are answered or refused, on which way, by which version, and why refused?",
            (_WAYS, axis("code", CODES)),
        ),
        Metric(
            "slipway_request_seconds",
            "histogram",
            "How long do answers take, and in which part of the way?",
            (_WAYS, axis("phase", PHASES)),
            SECONDS,
        ),
        Metric("slipway_batch_rows", "histogram", "How many rows does a call of the model predict?", (), COUNTS),
        Metric("slipway_batch_requests", "histogram", "How many requests does a call of the model join?", (), COUNTS),
    ),
    ("seen",),
)
"""Of one version in one worker. `seen`: when it was last in the lineup, on the monotonic clock."""

FOLLOWING = Group(
    "following",
    ("model",),
    (
        Metric(
            "slipway_registry_polls_total",
            "counter",
            "Is the registry asked, and does it answer?",
            (axis("outcome", ("ok", "failed")),),
        ),
        Metric("slipway_download_seconds", "histogram", "How long does a version take to download?", (), LONG_SECONDS),
        Metric("slipway_download_bytes_total", "counter", "How much is downloaded from the registry?"),
        Metric(
            "slipway_refusals_total",
            "counter",
            "How often is a version refused, by the syncer before it is posted or by a worker after?",
            (axis("by", ("syncer", "worker")),),
        ),
        Metric(
            "slipway_swaps_total",
            "counter",
            "How often do workers take another version, and into which slot?",
            (axis("slot", SLOTS),),
        ),
        Metric("slipway_load_seconds", "histogram", "How long do workers take to load one?", (), LONG_SECONDS),
    ),
    ("read",),
)
"""Of one model, in the syncer and in each worker. `read`: when the registry last answered, on the monotonic clock."""

HOSTS = Group(
    "hosts",
    (),
    (
        Metric("slipway_hosts_started_total", "counter", "How many hosts are forked?"),
        Metric("slipway_hosts_died_total", "counter", "How many hosts end though they are still wanted?"),
    ),
)
"""In the fork server."""

PROCESSES = Group(
    "processes",
    ("kind", "process"),
    (
        Metric("slipway_process_starts_total", "counter", "How often is each process started?"),
        Metric("slipway_process_deaths_total", "counter", "How often does each process die?"),
    ),
    ("pid", "started"),
)
"""Of one child of the supervisor, in the supervisor, which has one of its own too. `pid`: 0 while it does not run.
`started`: in seconds since the epoch."""

GROUPS = {group.name: group for group in (ANSWERS, FOLLOWING, HOSTS, PROCESSES)}

LINEUP = Computed(
    "slipway_lineup",
    "gauge",
    "Which version is in which slot, and in how many workers?",
    ("model", "slot", "version"),
)
ANSWERING = Computed("slipway_answering_workers", "gauge", "In how many workers does the model answer?", ("model",))
QUEUE = Computed("slipway_queue_rows", "gauge", "How many rows wait for the model?", ("model",))
QUEUE_LIMIT = Computed(
    "slipway_queue_limit_rows", "gauge", "How many rows may wait for it now, until callers are refused?", ("model",)
)
STALE = Computed(
    "slipway_stale",
    "gauge",
    "Does the last known version answer because the registry cannot be read (1)?",
    ("model",),
    merge="max",
)
OF_TRIAL = ("model", "version", "of")
"""`version`: the candidate's. `of`: whom the figure is about, the candidate or the Production version beside it."""
CANDIDATE = Computed(
    "slipway_candidate",
    "gauge",
    "Which version is tried, and in how many workers is it loading, running, out or refused?",
    ("model", "version", "state"),
)
TRIED = Computed("slipway_candidate_requests", "gauge", "How many requests is the trial about so far?", OF_TRIAL)
TRIED_ERRORS = Computed("slipway_candidate_errors", "gauge", "How many of them failed?", OF_TRIAL)
TRIED_P99 = Computed(
    "slipway_candidate_p99_seconds",
    "gauge",
    "What did the slowest hundredth of them take, in the worker where it took longest?",
    OF_TRIAL,
    merge="max",
)
COMPARED = Computed(
    "slipway_candidate_comparisons",
    "gauge",
    "How often did candidate and Production agree on the same rows, or not, and how many copies were dropped?",
    ("model", "version", "outcome"),
)
AGE = Computed(
    "slipway_registry_age_seconds",
    "gauge",
    "How long ago did the registry last answer (or the syncer first start)?",
    ("model",),
)
RUNNING = Computed("slipway_processes", "gauge", "How many processes of each kind run?", ("kind",))
STARTED = Computed(
    "slipway_process_start_time_seconds", "gauge", "Since when does each process run?", ("kind", "process")
)
CPU = Computed("slipway_process_cpu_seconds_total", "counter", "Which process uses the CPU?", ("kind", "process"))
MEMORY = Computed(
    "slipway_process_resident_memory_bytes", "gauge", "Which process uses the memory?", ("kind", "process")
)
MEMORY_LIMIT = Computed(
    "slipway_memory_limit_bytes", "gauge", "How much memory is there for all of them, the container's or the machine's?"
)
GPU_MEMORY = Computed("slipway_gpu_memory_bytes", "gauge", "How much memory has each GPU?", ("device",))
GPU_MEMORY_USED = Computed(
    "slipway_gpu_memory_used_bytes", "gauge", "How much of it is used, by whomever?", ("device",)
)
GPU_BUSY = Computed(
    "slipway_gpu_utilization_ratio", "gauge", "In which share of the last moment did each GPU compute?", ("device",)
)
OF_GPUS = (GPU_MEMORY, GPU_MEMORY_USED, GPU_BUSY)
BUILD = Computed("slipway_build_info", "gauge", "Which Slipway is this?", ("release",), merge="max")

JOBS = Computed("slipway_jobs", "gauge", "How many jobs are queued or running?", ("model", "state"))
JOBS_OLDEST = Computed(
    "slipway_jobs_oldest_queued_seconds", "gauge", "How long has the job waited that waits longest?", ("model",)
)
JOBS_ENDED = Computed("slipway_jobs_ended_total", "counter", "How many jobs have ended, and how?", ("model", "state"))
JOBS_ROWS = Computed("slipway_jobs_rows_total", "counter", "How many rows have jobs predicted?", ("model",))
JOB_WORKERS = Computed("slipway_job_workers", "gauge", "How many processes work at jobs, on all machines?")
JOBS_REACHABLE = Computed("slipway_jobs_reachable", "gauge", "Does the jobs' database answer (1)?")

OF_JOBS = (JOBS, JOBS_OLDEST, JOBS_ENDED, JOBS_ROWS, JOB_WORKERS, JOBS_REACHABLE)
"""Of the database and so of all servers on it: every one of them tells the same."""

OF_WORKERS = {
    each.name: each
    for each in (LINEUP, ANSWERING, QUEUE, QUEUE_LIMIT, STALE, CANDIDATE, TRIED, TRIED_ERRORS, TRIED_P99, COMPARED)
}
COMPUTED = (*OF_WORKERS.values(), *OF_JOBS, AGE, RUNNING, STARTED, CPU, MEMORY, MEMORY_LIMIT, *OF_GPUS, BUILD)


def listed() -> dict[str, tuple[Kind, tuple[str, ...], str]]:
    """Kind, labels and question of every metric, by name."""
    counted = {
        metric.name: (metric.kind, group.labels + metric.labels, metric.question)
        for group in GROUPS.values()
        for metric in group.metrics
    }
    return counted | {each.name: (each.kind, each.labels, each.question) for each in COMPUTED}
