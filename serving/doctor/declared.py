"""What is looked at, and each trouble that may be found there, with its remedy. `docs/doctor.md` lists the same."""

from dataclasses import dataclass
from typing import Literal

Mark = Literal["ok", "warning", "failed", "skipped"]

CHECKS = {
    "settings": "Are the settings right, and the secrets one's own?",
    "trust": "Is it settled which versions are served?",
    "access": "Is it settled who may ask?",
    "tls": "Is the certificate good?",
    "machine": "Has this machine what the workers need?",
    "ports": "Can serving listen?",
    "store": "Can versions be kept?",
    "registry": "Does MLflow answer, to us?",
    "models": "Does the registry say what to serve?",
    "s3": "Can what is on S3 be read?",
    "jobs": "Is there a database for jobs, and somebody who works at them?",
    "clock": "Is the clock right?",
    "traces": "Is there a collector for traces?",
}


@dataclass(frozen=True)
class Trouble:
    check: str
    mark: Mark
    remedy: str


TROUBLES = {
    "settings-invalid": Trouble(
        "settings",
        "failed",
        "Correct that name in `.env` or the environment; `.env.example` explains every one.",
    ),
    "secret-placeholder": Trouble(
        "settings",
        "warning",
        "Fine on your own machine. Before others reach it: secrets of your own in `.env`, and `SLIPWAY_ENV` other "
        "than `local`.",
    ),
    "secret-placeholder-outside": Trouble(
        "settings",
        "failed",
        "Set a secret of your own: everybody knows the one of `.env.example`.",
    ),
    "trust-loose": Trouble(
        "trust",
        "warning",
        "Set `SERVING_TRUST=signed` and `SERVING_TRUST_KEYS` (`python -m pipelines.keys` prints the line): until "
        "then whoever writes to the registry decides what runs here.",
    ),
    "code-allowed": Trouble(
        "trust",
        "warning",
        "Set `SERVING_ALLOW_CODE=false`, unless a model needs it: with it a version runs its own code.",
    ),
    "access-open": Trouble(
        "access",
        "failed",
        "`python -m serving keys create --name NAME` makes a key; set `SERVING_AUTH__KEYS` to its file. Serving does "
        "not start without.",
    ),
    "access-anyone": Trouble(
        "access",
        "warning",
        "Set `SERVING_AUTH__KEYS` and no `SERVING_AUTH__ANYONE`, unless something before serving asks who callers are.",
    ),
    "keys-unreadable": Trouble(
        "access",
        "failed",
        "Let this user read the file that `SERVING_AUTH__KEYS` names, or make it anew: `python -m serving keys`.",
    ),
    "keys-none": Trouble(
        "access",
        "failed",
        "`python -m serving keys create --name NAME` makes one: until then nobody is let in, but by tokens.",
    ),
    "keys-ending": Trouble(
        "access",
        "warning",
        "`python -m serving keys rotate ID --overlap 7d`, and give the new key to whoever has the old one.",
    ),
    "certificate-invalid": Trouble(
        "tls",
        "failed",
        "Do as the line says; `make certs` makes a pair to try. A server that runs goes on with the last good one.",
    ),
    "certificate-ending": Trouble(
        "tls",
        "warning",
        "Renew it in place: serving shows the new one to the next connection, without a restart.",
    ),
    "workers-many": Trouble(
        "machine",
        "warning",
        "Set `SERVING_WORKERS` to the number of cores at most: more only wait for each other.",
    ),
    "memory-short": Trouble(
        "machine",
        "warning",
        "Set `SERVING_WORKERS` lower, or give the machine or container more memory.",
    ),
    "descriptors-few": Trouble(
        "machine",
        "warning",
        "`ulimit -n 65536`, `LimitNOFILE=` (systemd) or `ulimits:` (compose): every connection takes one.",
    ),
    "temporary-unusable": Trouble(
        "machine",
        "failed",
        "Set `TMPDIR` to a folder that can be written to: sockets and downloads are there.",
    ),
    "temporary-long": Trouble(
        "machine",
        "failed",
        "Set `TMPDIR` to a shorter path: the address of a socket has 107 bytes at most.",
    ),
    "temporary-full": Trouble(
        "machine",
        "warning",
        "Free some, or set `TMPDIR` to a larger disk.",
    ),
    "port-taken": Trouble(
        "ports",
        "failed",
        "End who listens there, or set `SERVING_PORT` or `SERVING_GRPC_PORT` to another one.",
    ),
    "store-not-a-folder": Trouble(
        "store",
        "failed",
        "Set `SERVING_STORE` to a folder, or move the file away.",
    ),
    "store-read-only": Trouble(
        "store",
        "failed",
        "Let this user write there, mount it read-write, or set `SERVING_STORE` to another folder.",
    ),
    "store-full": Trouble(
        "store",
        "failed",
        "Free some, give `SERVING_STORE` a larger disk, or keep fewer versions (`SERVING_KEEP_VERSIONS`).",
    ),
    "store-nearly-full": Trouble(
        "store",
        "warning",
        "Free some, give `SERVING_STORE` a larger disk, or keep fewer versions (`SERVING_KEEP_VERSIONS`).",
    ),
    "store-lacks": Trouble(
        "store",
        "failed",
        "`python -m serving.bake FOLDER` makes a store that has it; or set `SERVING_OFFLINE=false`.",
    ),
    "registry-unreachable": Trouble(
        "registry",
        "failed",
        "Start MLflow (`make up`, `make compose-up`), or correct `MLFLOW_TRACKING_URI`. What is in the store is "
        "served meanwhile.",
    ),
    "registry-hosts": Trouble(
        "registry",
        "failed",
        "Add the name in `MLFLOW_TRACKING_URI` to MLflow's own `MLFLOW_SERVER_ALLOWED_HOSTS`, with and without "
        "its port, and start it again; `/health` never notices.",
    ),
    "registry-login": Trouble(
        "registry",
        "failed",
        "Set `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`.",
    ),
    "registry-broken": Trouble(
        "registry",
        "failed",
        "Read MLflow's log: most often it has lost its database. PostgreSQL's address begins with "
        "`postgresql+psycopg://`.",
    ),
    "registry-not-mlflow": Trouble(
        "registry",
        "failed",
        "Correct `MLFLOW_TRACKING_URI`: something else answers there.",
    ),
    "registry-version": Trouble(
        "registry",
        "warning",
        "Give MLflow's server and this environment the same minor release.",
    ),
    "registry-extras": Trouble(
        "registry",
        "warning",
        "Start MLflow with `MLFLOW_ENABLE_AI_GATEWAY=false` and `MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false`: the "
        "latter, which cannot be seen from here, takes 0.6 GB.",
    ),
    "model-unknown": Trouble(
        "models",
        "failed",
        "Register it (`make train`), or correct `SERVING_MODELS`; names are case-sensitive.",
    ),
    "model-not-promoted": Trouble(
        "models",
        "failed",
        "`python -m pipelines.promote best`, or give a version the stage or alias in MLflow's UI.",
    ),
    "model-disagreement": Trouble(
        "models",
        "warning",
        "`python -m pipelines.promote` keeps stage and alias in step and archives the old one; in the UI change both.",
    ),
    "model-candidate": Trouble(
        "models",
        "warning",
        "Correct or remove the registered model's tag `slipway.candidate`.",
    ),
    "model-unsigned": Trouble(
        "models",
        "failed",
        "Sign it: `python -m pipelines.manifest NAME VERSION` where `SLIPWAY_SIGNING_KEY` is; or "
        "`SERVING_TRUST=digest` serves it as it is.",
    ),
    "model-other-key": Trouble(
        "models",
        "failed",
        "Add the public key it was signed with to `SERVING_TRUST_KEYS` (`python -m pipelines.keys` prints yours), or "
        "sign it anew: `python -m pipelines.manifest NAME VERSION`.",
    ),
    "model-without-signature": Trouble(
        "models",
        "warning",
        "Log it with `signature=` or `input_example=`: without one nothing is checked and only MLflow can read bodies.",
    ),
    "model-files": Trouble(
        "models",
        "failed",
        "See to the server its files are on: where they are at `s3://`, this machine needs keys of its own "
        "(`mlflow server --serve-artifacts` does without).",
    ),
    "s3-no-keys": Trouble(
        "s3",
        "failed",
        "Set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.",
    ),
    "s3-unreachable": Trouble(
        "s3",
        "failed",
        "Start the S3 server, or correct `AWS_ENDPOINT_URL`.",
    ),
    "s3-key-unknown": Trouble(
        "s3",
        "failed",
        "Correct `AWS_ACCESS_KEY_ID`: that server has no such user.",
    ),
    "s3-secret-wrong": Trouble(
        "s3",
        "failed",
        "Correct `AWS_SECRET_ACCESS_KEY`: it is not that user's.",
    ),
    "s3-clock": Trouble(
        "s3",
        "failed",
        "Set this machine's clock (NTP): signatures are good for 15 minutes.",
    ),
    "s3-denied": Trouble(
        "s3",
        "failed",
        "Allow this user to list, read and write there, by the bucket's policy.",
    ),
    "s3-bucket-missing": Trouble(
        "s3",
        "failed",
        "Make the bucket, or correct `SERVING_JOBS__PLACE` and `SERVING_JOBS__FILES`.",
    ),
    "s3-not-written": Trouble(
        "s3",
        "failed",
        "Allow this user to put, get and delete objects below that place.",
    ),
    "s3-odd": Trouble(
        "s3",
        "failed",
        "Read the S3 server's log; is `AWS_ENDPOINT_URL` one that speaks S3?",
    ),
    "s3-checksums": Trouble(
        "s3",
        "warning",
        "Set `AWS_REQUEST_CHECKSUM_CALCULATION` and `AWS_RESPONSE_CHECKSUM_VALIDATION` to `when_required`: "
        "servers other than Amazon's reject or mangle what boto3 adds.",
    ),
    "jobs-file-missing": Trouble(
        "jobs",
        "warning",
        "Serving makes it. Where there were jobs before, `SERVING_JOBS__DATABASE` leads elsewhere than it did.",
    ),
    "jobs-file-broken": Trouble(
        "jobs",
        "failed",
        "Put a copy of it back, or move it away: serving makes an empty one. Its jobs are lost then.",
    ),
    "jobs-not-writable": Trouble(
        "jobs",
        "failed",
        "Let this user write to the file and to its folder.",
    ),
    "jobs-unreachable": Trouble(
        "jobs",
        "failed",
        "Start the database, or correct `SERVING_JOBS__DATABASE` (`postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`).",
    ),
    "jobs-driver": Trouble(
        "jobs",
        "failed",
        "Install `psycopg[binary]`, which PostgreSQL is reached by.",
    ),
    "jobs-no-workers": Trouble(
        "jobs",
        "warning",
        "`python -m serving jobs` works at them, or `python -m serving --jobs` beside serving.",
    ),
    "clock-off": Trouble(
        "clock",
        "warning",
        "Set the clocks by NTP.",
    ),
    "clock-wrong": Trouble(
        "clock",
        "failed",
        "Set the clocks by NTP: beyond 15 minutes S3 refuses every signature.",
    ),
    "collector-unreachable": Trouble(
        "traces",
        "warning",
        "Start the collector, or correct `SERVING_TRACING__ENDPOINT`; requests do not suffer.",
    ),
}
"""By code. A check that does not come to an end, or that fails itself, has the code `not-known`."""

NOT_KNOWN = "not-known"
EVERYWHERE = Trouble("", "failed", "Look at it by hand; what was waited for is in the sentence.")
