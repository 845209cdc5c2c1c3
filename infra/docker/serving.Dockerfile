# Serving: follows the registry and answers. Neither DVC nor, unless asked for, PyTorch is in it.
#   docker build -f infra/docker/serving.Dockerfile .
#   --build-arg REQUIREMENTS=serving-torch   to serve PyTorch versions too, with its CPU build unless TORCH_BACKEND says otherwise
#   --build-arg FIND_LINKS=URL               where PyTorch's wheels lie, if PyTorch's own index is out of reach
FROM python:3.11-slim-bookworm AS build
# uv trusts what the base image trusts, a company's own certificate included.
ENV UV_SYSTEM_CERTS=true
ARG PIP_INDEX_URL
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv --without-pip /opt/venv
ARG REQUIREMENTS=serving
ARG TORCH_BACKEND=cpu
ARG FIND_LINKS
COPY requirements/serving.txt requirements/serving-torch.txt /requirements/
RUN if [ -n "${FIND_LINKS:-}" ]; then set -- --find-links "$FIND_LINKS"; else set -- --torch-backend "$TORCH_BACKEND"; fi && \
    UV_DEFAULT_INDEX="${PIP_INDEX_URL:-}" uv pip install --python /opt/venv/bin/python --no-cache --compile-bytecode "$@" \
    --requirements "/requirements/$REQUIREMENTS.txt"

FROM python:3.11-slim-bookworm
# The store's folder belongs to serving, and so does a new volume that is mounted there.
RUN useradd --uid 10001 --home-dir /tmp --no-create-home slipway && install --directory --owner=slipway /var/lib/slipway
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp GIT_PYTHON_REFRESH=quiet \
    SERVING_HOST=0.0.0.0 SERVING_STORE=/var/lib/slipway
WORKDIR /slipway
COPY serving serving
RUN python -m compileall -q serving
USER 10001:10001
VOLUME /var/lib/slipway
EXPOSE 8000 8001
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
  CMD ["python", "-m", "serving.check"]
CMD ["python", "-m", "serving"]
