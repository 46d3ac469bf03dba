#!/bin/sh
# Install the SIP peers that the tests talk to, from Debian. Does nothing when they are there.
#
#   scripts/install_peers.sh          what `make test` needs: SIPp and baresip
#   scripts/install_peers.sh --all    what `make interop` needs on top
#
# On Debian 12 the versions are pinned to those the tests were written against; elsewhere, or when
# Debian has moved on to a security update, the distribution's own version is taken and named.
set -eu

core="sip-tester=1:3.6.1-1+b2 baresip-core=1.0.0-4+b3"
more="linphone-cli linphone-common sipsak sox tshark kamailio"

case "${1:-}" in
    "") wanted=$core ;;
    --all) wanted="$core $more" ;;
    *) echo "usage: scripts/install_peers.sh [--all]" >&2; exit 2 ;;
esac

installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

missing=
for package in $wanted; do
    installed "${package%%=*}" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || {
    echo "install_peers.sh: no apt-get here; install by hand: SIPp 3.6 or newer and baresip 1.0 or newer" >&2
    exit 2
}
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "install_peers.sh: needs root; run it as root" >&2; exit 2; }
    as_root="sudo"
fi

# RUNLEVEL=1: installed, not started (kamailio would take port 5060).
apt() { $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -y -o Dpkg::Use-Pty=0 "$@"; }

apt update >/dev/null
# tshark asks whether users may capture; the tests run without.
case "$missing" in *tshark*)
    echo "wireshark-common wireshark-common/install-setuid boolean false" | $as_root debconf-set-selections ;;
esac
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
