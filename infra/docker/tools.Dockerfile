# The stack's jobs: refuse placeholder secrets, make buckets, accounts and the database of jobs. Built from the
# repository's root, as all images here:
#   docker build -f infra/docker/tools.Dockerfile .
FROM python:3.11-slim-bookworm AS build
# uv trusts what the base image trusts, a company's own certificate included.
ENV UV_SYSTEM_CERTS=true
ARG PIP_INDEX_URL
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv --without-pip /opt/venv
COPY requirements/pipelines.txt requirements/tracking.txt /requirements/
# The only three that the jobs need, and what these need, in the versions of the locks.
RUN UV_DEFAULT_INDEX="${PIP_INDEX_URL:-}" uv pip install --python /opt/venv/bin/python --no-cache --compile-bytecode \
    --constraint /requirements/pipelines.txt --constraint /requirements/tracking.txt \
    minio "psycopg[binary]" python-dotenv

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --home-dir /tmp --no-create-home slipway
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /slipway
COPY infra infra
RUN python -m compileall -q infra
USER 10001:10001
