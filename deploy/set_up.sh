#!/usr/bin/env bash
# Sets up the project's own environment in .venv: everything pinned, nothing from outside requirements.lock.
# Needs python ≥ 3.11 and a package index; brings uv if it is not there. Called by `make env`.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8
export UV_PYTHON_DOWNLOADS=never
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}  # the machine's own: behind a proxy that inspects TLS, uv's would fail

find_python() {
  for name in python3.11 python3.12 python3.13 python3; do
    if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      command -v "$name"
      return
    fi
  done
  echo "error: sepl needs python 3.11 or newer; none of python3.11, python3.12, python3.13, python3 is" >&2
  exit 1
}

bring_uv() {
  if command -v uv >/dev/null; then
    command -v uv
    return
  fi
  local home=.uv
  if [ ! -x "$home/bin/uv" ]; then
    # Debian keeps venv in a package of its own; install it where we may
    "$1" -c 'import ensurepip' 2>/dev/null || { [ "$(id -u)" = 0 ] && apt-get install -y -qq python3-venv >&2; } || {
      echo "error: python's venv module is missing; install it (Debian: apt-get install python3-venv) or install uv" >&2
      exit 1
    }
    "$1" -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check "uv==$UV_VERSION" >&2
  fi
  echo "$home/bin/uv"
}

python=$(find_python)
uv=$(bring_uv "$python")
echo "setting up .venv with $("$python" --version) and $("$uv" --version) (about 7 GB with torch's CUDA libraries)"
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
# compiled now: where Python may not write its bytecode, as in many containers, each import of torch would compile it anew
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes --compile-bytecode requirements.lock
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
touch .venv/.complete
