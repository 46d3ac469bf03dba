#!/bin/sh
# Make .venv with everything that running, testing and benchmarks need. Does nothing when it is up to date.
#
#   scripts/setup.sh
#
# PYTHON=/path/to/python3.12 scripts/setup.sh   uses that interpreter. A .venv that this script did not make is left alone.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/kallglot-setup
say() { echo "setup: $*" >&2; }

wanted=$(cat constraints.txt pyproject.toml scripts/setup.sh | sha256sum | cut -d' ' -f1)
if [ -e .venv ] && [ ! -e "$stamp" ]; then
    say "using .venv as it is: it was not made by scripts/setup.sh"
    exit 0
fi
if [ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.11 python3.12 python3.13 /usr/bin/python3; do
        if [ -n "$candidate" ] && new_enough "$candidate" && can_make_venv "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

install_python() {
    packages="python3 python3-venv ca-certificates"
    command -v apt-get >/dev/null || { say "needs Python 3.11 or newer with its venv module; install it, then run this again"; exit 2; }
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root="sudo -n"
        else
            say "needs $packages; run this, then try again:"
            echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages" >&2
            exit 2
        fi
    fi
    say "installing $packages"
    $as_root apt-get -qq update
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $packages >/dev/null
}

if ! python=$(find_python); then
    install_python
    python=$(find_python) || { say "this system's Python is older than 3.11; set PYTHON to a newer one"; exit 2; }
fi

if [ ! -x .venv/bin/python ] || ! new_enough .venv/bin/python; then
    rm -rf .venv
    "$python" -m venv .venv
fi
echo unfinished > "$stamp"

pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }

say "installing packages into .venv with $("$python" --version) (two minutes on a fast line)"
pip install -qq --constraint constraints.txt setuptools
pip install -qq --constraint constraints.txt --no-build-isolation --editable '.[tts,dev]'
pip install -qq --constraint constraints.txt --no-deps argostranslate

if .venv/bin/python -c 'import torch' 2>/dev/null; then
    say "torch came in: a pin is wrong, constraints.txt must keep it out"
    exit 1
fi
echo "$wanted" > "$stamp"
say "done: $(du -sm .venv | cut -f1) MB in .venv"
