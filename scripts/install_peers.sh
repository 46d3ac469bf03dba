#!/bin/sh
# Install what the tests talk to and listen with, from Debian. Does nothing when it is there.
#
#   scripts/install_peers.sh          what `make test` needs: SIPp, baresip, sox, PostgreSQL, curl, Node, noise suppression, and PESQ
#                                     with a compiler for it
#   scripts/install_peers.sh --all    what `make interop` and `make bench-media` want on top, with Asterisk (1 GB, 80 s)
#
# On Debian 12 the versions are pinned to those the tests were written against; elsewhere, or when
# Debian has moved on to a security update, the distribution's own version is taken and named.
set -eu

core="sip-tester=1:3.6.1-1+b2 baresip-core=1.0.0-4+b3 sox=14.4.2+git20190427-3.5 postgresql curl nodejs gcc libc6-dev python3-dev"
more="linphone-cli linphone-common sipsak kamailio rtpengine-daemon debootstrap"

asked=${1:-}
case "$asked" in
    "") wanted=$core ;;
    --all) wanted="$core $more" ;;
    *) echo "usage: scripts/install_peers.sh [--all]" >&2; exit 2 ;;
esac

installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

missing=
for package in $wanted; do
    installed "${package%%=*}" || missing="$missing $package"
done
has() { .venv/bin/python -c "import $1" 2>/dev/null; }
deaf=
has pesq && has webrtc_noise_gain || deaf=1

# By hand, tests with a missing peer are skipped and say so; where CI is set, or with --all, that is no answer.
give_up() {
    echo "install_peers.sh: $1; without SIPp 3.6, baresip 1.0 and PostgreSQL 14 (or newer) the tests that need them are skipped" >&2
    if [ -n "${CI:-}" ] || [ "$asked" = "--all" ]; then exit 2; fi
    exit 0
}
as_root=
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || give_up "no apt-get here"
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || give_up "not root, and sudo wants a password"
        as_root=sudo
    fi
fi

apt() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"; }

[ -z "$missing" ] || apt update >/dev/null || give_up "apt-get update fails"
# baresip-core and no more: the metapackage baresip brings a desktop with it.
for package in $missing; do
    name=${package%%=*}
    if apt install --no-install-recommends "$package" >/dev/null 2>&1; then
        echo "installed $package"
    elif [ "$name" != "$package" ] && apt install --no-install-recommends "$name" >/dev/null; then
        echo "installed $name $(dpkg-query -W -f '${Version}' "$name"), tested with ${package#*=}"
    else
        echo "install_peers.sh: apt-get could not install $name" >&2
        exit 1
    fi
done
# Debian starts what it installs; the tests start their own, and 5060 is wanted for calls.
case "$missing" in *postgresql*) $as_root systemctl disable --now postgresql >/dev/null 2>&1 || true ;; esac
case "$missing" in *kamailio*) $as_root systemctl disable --now kamailio >/dev/null 2>&1 || true ;; esac
case "$missing" in *rtpengine*) $as_root systemctl disable --now rtpengine-daemon >/dev/null 2>&1 || true ;; esac
# PESQ has no wheels; its build wants Cython, and numpy as it is here, so it is built in this environment.
if [ -n "$deaf" ]; then
    pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input install -q --constraint constraints.txt "$@"; }
    has webrtc_noise_gain || pip webrtc-noise-gain || give_up "webrtc-noise-gain cannot be installed"
    has pesq || { pip cython && pip --no-build-isolation --use-pep517 pesq; } || give_up "pesq does not compile"
    echo "installed webrtc-noise-gain and pesq"
fi
# Debian 12 has no Asterisk: it comes from unstable into a folder of its own.
if [ "$asked" = "--all" ]; then
    scripts/interop_asterisk.sh >/dev/null || echo "install_peers.sh: without Asterisk" >&2
fi
