#!/usr/bin/env bash
# Make the virtual environment with Python 3.12 and uv in it. Usage: make_venv.sh VENV PYTHON
set -euo pipefail
venv=$1
wanted=$2
candidates=("$wanted" python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python python3 python)
for python in "${candidates[@]}"; do
  if "$python" -c 'import sys, venv; raise SystemExit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
    exit 0
  fi
done
if command -v uv >/dev/null 2>&1 && uv venv --quiet --seed --python 3.12 "$venv"; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
  exit 0
fi
echo "Python 3.12 was not found; install it, or name it: make PYTHON=/path/to/python3.12" >&2
exit 2
