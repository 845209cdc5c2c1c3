# The MLflow tracking server and registry: PostgreSQL behind it, artifacts proxied to the bucket `mlflow`.
#   docker build -f infra/docker/mlflow.Dockerfile .
FROM python:3.11-slim-bookworm AS build
# uv trusts what the base image trusts, a company's own certificate included.
ENV UV_SYSTEM_CERTS=true
ARG PIP_INDEX_URL
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv --without-pip /opt/venv
COPY requirements/tracking.txt /requirements/
RUN UV_DEFAULT_INDEX="${PIP_INDEX_URL:-}" uv pip install --python /opt/venv/bin/python --no-cache --compile-bytecode \
    --requirements /requirements/tracking.txt

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --home-dir /tmp --no-create-home slipway
COPY --from=build /opt/venv /opt/venv
# Git is not installed here and not missed.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONPATH=/slipway HOME=/tmp GIT_PYTHON_REFRESH=quiet
WORKDIR /slipway
COPY infra infra
# How MLflow finds a plugin: the S3 store of infra/compose/artifacts.py, which says why.
RUN python -m compileall -q infra && mkdir slipway_mlflow-0.dist-info && \
    printf '[mlflow.artifact_repository]\nproxied-s3 = infra.compose.artifacts:ProxiedS3\n' > slipway_mlflow-0.dist-info/entry_points.txt
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:5000/health', timeout=4)"]
CMD ["python", "-m", "infra.compose.tracking"]
