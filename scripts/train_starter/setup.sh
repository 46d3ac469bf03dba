#!/bin/sh
# Make .starter, the environment in which starter models are trained: PyTorch, and everything of .venv beside it;
# and espeak-ng and flite, from Debian.
# Does nothing when it is up to date. PyTorch stays out of .venv: ctranslate2 would load it in every worker.
#
#   scripts/train_starter/setup.sh
set -eu
cd "$(dirname "$0")/../.."

scripts/setup.sh
# What speaks the training sentences; both come with voices that may be copied.
for package in espeak-ng flite; do
    command -v "$package" >/dev/null && continue
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
    echo "setup: installing $package" >&2
    $as_root apt-get -qq update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$package" >/dev/null
done
stamp=.starter/kallglot-setup
wanted=$(cat scripts/train_starter/requirements.txt scripts/train_starter/setup.sh | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] && exit 0

echo "setup: installing PyTorch into .starter (a minute on a fast line)" >&2
[ -x .starter/bin/python ] || .venv/bin/python -m venv .starter
.starter/bin/python -m pip --disable-pip-version-check --no-input install -qq \
    --constraint constraints.txt --requirement scripts/train_starter/requirements.txt
folder='import sysconfig; print(sysconfig.get_path("purelib"))'
beside=$(.venv/bin/python -c "$folder")
echo "import site; site.addsitedir('$beside')" > "$(.starter/bin/python -c "$folder")/beside.pth"
echo "$wanted" > "$stamp"
