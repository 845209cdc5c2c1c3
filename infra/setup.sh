#!/bin/sh
# Make .venv hold what requirements/dev.txt pins. Called by `make`, and only when the lock is newer than .venv.
#
#   PYTHON=python3.12      another interpreter than python3
#   TORCH_BACKEND=cu130    another build of PyTorch than the CPU's (see `uv pip install --help`, --torch-backend)
#   PIP_FIND_LINKS=FOLDER  a folder of wheels that holds PyTorch, for machines that reach only their package index
#   PIP_INDEX_URL=URL      another package index than the usual one
#   UV_SYSTEM_CERTS=false  trust the certificates uv brings along, not this machine's
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
fail() { echo "setup: $*" >&2; exit 1; }

command -v "$python" >/dev/null ||
  fail "no $python on the PATH; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old; Slipway needs Python 3.11 or newer: make PYTHON=/path/to/python3"
# Made anew when its Python is gone, or when the folder was moved: its commands name the place they were made in.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! grep -qF "$(pwd -P)/.venv" .venv/pyvenv.cfg; then
  "$python" -m venv --clear .venv || fail "could not make .venv (on Debian: apt-get install python3-venv)"
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9 ||
  fail "could not install uv; pip's last line above says why"

# As pip does: whom this machine trusts, such as a company's proxy that reads along. By itself uv has a list of its own.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS-true}"
# uv reads neither of pip's variables by itself.
if [ -n "${PIP_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"; fi
torch="--torch-backend ${TORCH_BACKEND:-cpu}"
for folder in ${PIP_FIND_LINKS:-}; do
  for wheel in "$folder"/torch-*.whl; do
    if [ -f "$wheel" ] && [ -z "${TORCH_BACKEND:-}" ]; then torch="--find-links $folder"; fi
  done
done
echo "setup: installing into .venv ($torch)"
# Bytecode now, on all cores: without it every first import of MLflow or PyTorch would take ten seconds.
# shellcheck disable=SC2086  # two words
.venv/bin/uv pip install --python .venv/bin/python --compile-bytecode $torch -r requirements/dev.txt
.venv/bin/python -m infra.local.project_env
touch .venv/installed
