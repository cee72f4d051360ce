#!/bin/sh
# Puts buildx, the docker CLI's builder plugin, into a folder of the tests' own: nothing is
# installed. Debian has it from version 13 on; on an older one that release's list of packages is
# read beside the system's, from the same mirror. Idempotent.
set -eu
folder=$1
[ -x "$folder/docker-buildx" ] && exit 0
command -v apt-get >/dev/null

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/lists/partial" "$scratch/cache/archives/partial" "$folder"
chmod 755 "$scratch"
mirror=$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Origin: Debian' 'Component: main' | grep -v security | head -n 1)
[ -n "$mirror" ]
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror trixie main" > "$scratch/sources.list"

apt() {
    apt-get -q=2 -o Dir::Etc::SourceList="$scratch/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch/cache" \
        -o APT::Sandbox::User=root "$@"
}
apt update
(cd "$scratch" && apt download docker-buildx)
dpkg -x "$scratch"/docker-buildx_*.deb "$scratch/unpacked"
mv "$(find "$scratch/unpacked" -type f -path "*/cli-plugins/docker-buildx" | head -n 1)" "$folder/docker-buildx"
