# Serving with its models inside: answers with no MLflow, no volume and no network, on a read-only file system.
# `make image-baked` builds it, from a context of its own: `store/`, which SERVING_IMAGE itself has baked.
ARG SERVING_IMAGE=slipway-serving:latest
FROM ${SERVING_IMAGE} AS store
# Of a stage that becomes no image; the last one is not root.
# hadolint ignore=DL3002
USER 0:0
COPY store /store
# Root's, so that serving can read it and nobody there can change it; whose it was on the host does not matter.
RUN chmod --recursive u=rwX,go=rX /store

FROM ${SERVING_IMAGE}
COPY --from=store /store /slipway/store
# With what the versions were verified and tried. Public keys are no secret; `docker run --env` has the last word.
ARG SERVING_MODELS
ARG SERVING_RUNTIME
ARG SERVING_TRUST
ARG SERVING_TRUST_KEYS
ARG SERVING_ALLOW_CODE
ARG SERVING_SKOPS_TYPES
ARG SERVING_PACKAGES
# The sockets between its processes are all it writes; /dev/shm can be written even where nothing else can.
ENV SERVING_OFFLINE=true SERVING_STORE=/slipway/store TMPDIR=/dev/shm \
    SERVING_MODELS=${SERVING_MODELS} SERVING_RUNTIME=${SERVING_RUNTIME} \
    SERVING_TRUST=${SERVING_TRUST} SERVING_TRUST_KEYS=${SERVING_TRUST_KEYS} \
    SERVING_ALLOW_CODE=${SERVING_ALLOW_CODE} SERVING_SKOPS_TYPES=${SERVING_SKOPS_TYPES} \
    SERVING_PACKAGES=${SERVING_PACKAGES}
USER 10001:10001
# Ready and not only up: no version that answers will come later.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
  CMD ["python", "-m", "serving.check", "--ready"]
