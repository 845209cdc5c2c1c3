#!/bin/sh
# Write the locks from pyproject.toml's groups. dev.txt is resolved first; the images' locks take their versions from it.
set -eu
cd "$(dirname "$0")/.."
compile() { # compile NAME GROUP...
  out=requirements/$1.txt; shift
  groups=""; for group in "$@"; do groups="$groups --group $group"; done
  constraint=""; [ "$out" = requirements/dev.txt ] || constraint="-c requirements/dev.txt"
  # shellcheck disable=SC2086  # the lists are meant to be split
  "${UV:-.venv/bin/uv}" pip compile -q pyproject.toml $groups $constraint --universal --python-version 3.11 --no-annotate \
    --config-file requirements/uv.toml --custom-compile-command "make lock" -o "$out" ${UPGRADE:+--upgrade}
}
compile dev dev
compile pipelines pipelines
compile serving serving
compile serving-torch serving torch
compile tracking tracking
