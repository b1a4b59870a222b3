#!/usr/bin/env bash
# Compile requirements/*.lock from pyproject.toml, with hashes and without index addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  out=$1
  shift
  ${UV:-.venv/bin/python -m uv} pip compile pyproject.toml --quiet --python-version 3.12 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-header --universal "$@" -o "requirements/$out.lock"
}
compile run
compile live --extra live
compile research --extra research
compile dev --extra dev
compile ml --extra ml --extra dev -c requirements/dev.lock
compile ops --extra live --extra ops -c requirements/dev.lock
