#!/bin/sh
# Tag stand-ins as docker-compose.yml and proxy.Dockerfile name the images they would pull. Not for production.
set -eu
cd "$(dirname "$0")"
minio=$(sed -n 's/^ *image: \(minio.*\)/\1/p' ../../../docker-compose.yml)
caddy=$(sed -n 's/^FROM \(caddy.*\)/\1/p' ../../../infra/docker/proxy.Dockerfile)
docker build --quiet --tag "$minio" s3
docker build --quiet --tag "$caddy" caddy
