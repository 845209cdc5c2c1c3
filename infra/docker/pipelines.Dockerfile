# What the pipelines need (DVC, MLflow, scikit-learn, PyTorch), without the pipelines: the project's folder is mounted.
#   docker build -f infra/docker/pipelines.Dockerfile .
#   --build-arg TORCH_BACKEND=cu130   another build of PyTorch than the CPU's
#   --build-arg FIND_LINKS=URL        where PyTorch's wheels lie, if PyTorch's own index is out of reach
FROM python:3.11-slim-bookworm AS build
# uv trusts what the base image trusts, a company's own certificate included.
ENV UV_SYSTEM_CERTS=true
ARG PIP_INDEX_URL
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv --without-pip /opt/venv
ARG TORCH_BACKEND=cpu
ARG FIND_LINKS
COPY requirements/pipelines.txt /requirements/
RUN if [ -n "${FIND_LINKS:-}" ]; then set -- --find-links "$FIND_LINKS"; else set -- --torch-backend "$TORCH_BACKEND"; fi && \
    UV_DEFAULT_INDEX="${PIP_INDEX_URL:-}" uv pip install --python /opt/venv/bin/python --no-cache --compile-bytecode "$@" \
    --requirements /requirements/pipelines.txt

FROM python:3.11-slim-bookworm
# DVC and the lineage of a run ask git. Whichever git Debian's release has will do.
# hadolint ignore=DL3008
RUN apt-get update -q && apt-get install -y -q --no-install-recommends git && rm -rf /var/lib/apt/lists/* && \
    useradd --uid 10001 --home-dir /tmp --no-create-home slipway
COPY --from=build /opt/venv /opt/venv
# Names that PyTorch and MLflow would ask the system for: it does not know the user who runs this, whose folder is mounted.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp USER=slipway LOGNAME=slipway
WORKDIR /slipway
USER 10001:10001
CMD ["python", "-m", "pipelines"]
