# Slipway's verbs, the same here and in CI. `make` lists them.
#
#   PYTHON=python3.12      another interpreter to make .venv with
#   TORCH_BACKEND=cu130    another PyTorch than the CPU's (infra/setup.sh)
#   VERSION=3              the version `make promote` promotes; the best one if not given
#   NAMES=host,10.0.0.5    more names of the server, for `make certs`
#   MODELS=iris,wine       what `make image-baked` bakes, and the image's TAG=2; SERVING_MODELS and `latest` if not given

.DEFAULT_GOAL := help
.PHONY: help setup certs demo up down status logs compose-up compose-down image-baked train promote check format test test-slow bench bench-promotions bench-scoring bench-clients bench-overload generate lock clean astray
# DVC's stages and MLproject's entry points call `python -m pipelines...`: this Python.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
run := .venv/bin/python -m
compose := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
ready := .venv/installed .env
# Only when typed: a VERSION that happens to be in somebody's environment must not be promoted.
version := $(if $(findstring command,$(origin VERSION)),$(VERSION))
models := $(if $(findstring command,$(origin MODELS)),--models "$(MODELS)")
names := $(if $(findstring command,$(origin NAMES)),"$(NAMES)")
tag := $(if $(findstring command,$(origin TAG)),--tag "$(TAG)")

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

setup: $(ready) ## make .venv from the lock, and .env from .env.example
	@echo "ready: .venv and .env"

demo: $(ready) ## everything: set up, start the stack, train, promote, predict
	@$(run) infra.local.demo

up: $(ready) ## start the local stack (S3, MLflow, serving) and wait until it answers
	@$(run) infra.local up

down: $(ready) ## stop it
	@$(run) infra.local down

status: $(ready) ## what each program of the stack is doing; fails if not all is well
	@$(run) infra.local status

logs: $(ready) ## follow the stack's logs
	@$(run) infra.local logs -f

compose-up: $(ready) ## the whole stack in containers instead: MinIO, PostgreSQL, MLflow, serving behind a proxy
	@$(run) infra.local.trust_keys
	@$(run) infra.local.api_key
	@$(compose) up --build --detach || { $(compose) logs no-placeholders; exit 1; }
	@$(run) infra.local.dvc_remote
	@$(run) infra.local.proxy_ca $(compose)

compose-down: ## stop the containers; their volumes stay
	@$(compose) --profile monitoring down

certs: $(ready) ## a CA to develop with, and certificates for server and client: .slipway/certs (NAMES=host,10.0.0.5)
	@$(run) infra.local.certs $(names)

image-baked: $(ready) ## an image that serves what is Production now, with no MLflow: slipway-serving-baked
	@$(run) infra.local.trust_keys
	@$(run) infra.baked $(models) $(tag)

train: $(ready) ## run what changed of the pipeline, up to a registered version
	@$(run) pipelines

promote: $(ready) ## the gate, then Production: the best version, or VERSION=3
	@$(run) pipelines.promote $(version)

check: $(ready) ## format, lint, types, who may import whom, known weaknesses
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/shellcheck infra/*.sh requirements/*.sh serving/rpc/*.sh tests/e2e/standins/*.sh tests/e2e/standins/s3/m* .ci/run
	.venv/bin/lint-imports
	.venv/bin/bandit --quiet --configfile pyproject.toml --recursive serving pipelines infra
	.venv/bin/hadolint infra/docker/*.Dockerfile tests/e2e/standins/*/Dockerfile
	$(run) infra.advisories

format: $(ready) ## put the code into the format that `make check` wants
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

test: $(ready) ## all tests but the slow ones
	$(run) pytest -m "not slow" --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test-slow: $(ready) ## fault, load and whole-stack tests
	$(run) pytest -m slow

bench: $(ready) ## serving's speed beside its floors; writes docs/benchmarks.md (needs wrk and nghttp2-client)
	@$(run) tests.bench

bench-promotions: $(ready) ## what a promotion costs the requests around it; writes docs/benchmarks-promotion.md
	@$(run) tests.bench.promotions

bench-scoring: $(ready) ## a file scored beside mlflow.pyfunc in a loop; writes docs/benchmarks-scoring.md
	@$(run) tests.bench.scoring

bench-clients: $(ready) ## the same predictions by seven clients and as jobs; writes docs/benchmarks-clients.md and .svg
	@$(run) tests.bench.clients

bench-overload: $(ready) ## three times what a server can answer, for a minute; writes docs/benchmarks-overload.md
	@$(run) tests.bench.overload

generate: $(ready) ## write serving/rpc/generated from its protos
	@sh serving/rpc/generate.sh

lock: $(ready) ## write requirements/*.txt from pyproject.toml; UPGRADE=1 takes newer versions
	@sh requirements/lock.sh

clean: ## stop the stack; remove .venv and caches, but no data
	@if [ -f .venv/installed ] && [ -f .env ]; then $(run) infra.local down; fi
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Also when .venv has lost its Python, or when this folder was moved and .venv's commands point to where it was.
astray := $(shell .venv/bin/python -c "" 2>/dev/null && grep -qF "$(CURDIR)/.venv" .venv/pyvenv.cfg || echo astray)
.venv/installed: requirements/dev.txt infra/setup.sh $(astray)
	@PYTHON="$(PYTHON)" TORCH_BACKEND="$(TORCH_BACKEND)" sh infra/setup.sh

# Copied once and then yours. For your eyes only: it will hold secrets.
.env:
	@(umask 077; cp .env.example .env)
	@echo "made .env from .env.example"
