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
# what users install is what the tests ran with
compile dev --extra dev
for out in run live research ml ops; do
  case $out in
    run) extras=() ;;
    ml) extras=(--extra ml --extra dev) ;;
    ops) extras=(--extra live --extra ops) ;;
    *) extras=(--extra "$out") ;;
  esac
  compile "$out" "${extras[@]}" -c requirements/dev.lock
done
