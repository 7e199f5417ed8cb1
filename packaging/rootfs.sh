#!/bin/sh
# Make a root file system that holds a node and nothing else: for a small device, systemd-nspawn or chroot.
#
#   sudo packaging/rootfs.sh FOLDER [ARCHIVE.tar.gz]
#
# It takes the steps of the Dockerfile without a container engine: a small system with Python, the node's four
# packages, hocket, a user without rights. PYTHON names an interpreter of this computer that has pip.
set -eu

folder=${1:?give the folder to make}
archive=${2:-}
suite=${SUITE:-bookworm} # its Python has the version below
version=${PYTHON_VERSION:-3.11}
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)

if [ -e "$folder" ]; then
    echo "$folder exists already; remove it or choose another folder" >&2
    exit 1
fi
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

debootstrap --variant=minbase --include=python3 "$suite" "$folder" "${MIRROR:-http://deb.debian.org/debian}"

"$python" -m pip wheel --quiet --no-deps --wheel-dir "$wheels" "$here"
# Wheels for the Python of the image, whatever the version of the one that fetches them.
"$python" -m pip install --quiet --no-compile --no-deps --only-binary=:all: --python-version "$version" \
    --constraint "$here/requirements.lock" --target "$folder/opt/hocket" \
    -r "$here/packaging/node.txt" "$wheels"/hocket-*.whl
cp "$here/packaging/healthy.py" "$folder/opt/hocket/"

chroot "$folder" useradd --uid 10001 --home-dir /var/lib/hocket --create-home --shell /usr/sbin/nologin hocket
chroot "$folder" apt-get clean
rm -rf "$folder"/var/lib/apt/lists/* "$folder"/var/log/*.log "$folder"/var/log/apt \
    "$folder"/usr/share/doc/* "$folder"/usr/share/man/* "$folder"/usr/share/locale/* "$folder"/opt/hocket/bin

if [ -n "$archive" ]; then
    tar --create --gzip --numeric-owner --one-file-system --file "$archive" --directory "$folder" .
    du --bytes "$archive"
fi
