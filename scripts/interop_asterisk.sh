#!/bin/sh
# Asterisk for the interop tests, from Debian unstable in a folder of its own: Debian 12 has none.
# Needs root, 1 GB and about 80 s; does nothing when it is there. Prints the folder.
#
#   scripts/interop_asterisk.sh            make it
#   scripts/interop_asterisk.sh --remove   unmount and delete it
set -eu

root=${ASTERISK_ROOT:-/srv/chroots/sid}

mounted() { mountpoint -q "$root/$1"; }

if [ "${1:-}" = "--remove" ]; then
    for place in tmp dev proc; do mounted "$place" && umount "$root/$place"; done
    # Whoever mounted more keeps it: rm would follow into it.
    if grep -q " $root/" /proc/mounts; then
        echo "interop_asterisk.sh: something is still mounted in $root" >&2
        exit 1
    fi
    rm -rf "$root"
    exit 0
fi

if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "interop_asterisk.sh: needs root and debootstrap (apt-get install debootstrap)" >&2
    exit 2
fi
export DEBIAN_FRONTEND=noninteractive
if [ ! -x "$root/usr/bin/apt-get" ]; then
    mkdir -p "$root"
    debootstrap --variant=minbase sid "$root" >&2
fi
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"   # a package must not start its daemon
chmod +x "$root/usr/sbin/policy-rc.d"
mounted proc || mount -t proc proc "$root/proc"
mounted dev || mount --bind /dev "$root/dev"
mounted tmp || mount --bind /tmp "$root/tmp"                    # the tests' folders
if [ ! -x "$root/usr/sbin/asterisk" ]; then
    # Unstable is signed for a few days at a time; a machine whose clock is behind or ahead takes it all the same.
    chroot "$root" sh -c 'apt-get -q -o Acquire::Check-Valid-Until=false update &&
        apt-get -q -y --no-install-recommends install asterisk' >&2
fi
echo "$root"
