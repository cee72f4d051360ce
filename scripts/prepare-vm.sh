#!/bin/sh
# Makes ready what `tests/support/vm.py` boots: qemu, Debian's kernel, and a small initramfs.
# Idempotent, and quick when nothing is missing. Everything but qemu stays in .work/vm.
#
# The guest has no root file system of its own: it sees this machine's, read-only, with a tmpfs
# above it (tests/vm/guest-init.sh). So there is nothing to install twice, and the checkout, its
# .venv and busybox are at their usual places in there.
set -eu
cd "$(dirname "$0")/.."
# Raise it when what this script makes has changed.
recipe=1
[ "$(uname -m)" = x86_64 ] || { echo "prepare-vm: only for x86-64 hosts" >&2; exit 1; }
[ "$(cat .work/vm/ready 2>/dev/null)" = $recipe ] && command -v qemu-system-x86_64 >/dev/null && exit 0

export DEBIAN_FRONTEND=noninteractive
if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "prepare-vm: installing qemu"
    [ "$(id -u)" = 0 ] || { echo "prepare-vm: run me as root once" >&2; exit 1; }
    apt-get update -q=2
    apt-get install -q=2 -y --no-install-recommends qemu-system-x86 >/dev/null
fi

mkdir -p .work/vm
cd .work/vm
rm -rf kernel apparmor initramfs ./*.deb ready
# The meta-package names the version; the names move with each security update.
latest() { apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: //p'; }
[ -n "$(latest)" ] || apt-get update -q=2
image=$(latest)
version=${image#linux-image-}
echo "prepare-vm: fetching the kernel $version"
apt-get download -q=2 "$image" apparmor 2>/dev/null ||
    { apt-get update -q=2; apt-get download -q=2 "$image" apparmor; }
mkdir kernel apparmor
dpkg -x "$image"_*.deb kernel
# Only its parser is wanted, and not on the host, which may have no AppArmor.
dpkg -x apparmor_*.deb apparmor
rm ./*.deb

# Unpacked here, so that the guest, which is slow, need not do it: an xz stream in the bzImage.
python3 - kernel/boot/vmlinuz-"$version" kernel/vmlinux <<'PYTHON'
import lzma, sys

image = open(sys.argv[1], "rb").read()
at = image.index(b"\xfd7zXZ\x00")
with open(sys.argv[2], "wb") as kernel:
    kernel.write(lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(image[at:]))
PYTHON

busybox depmod -b kernel "$version"
modules=kernel/lib/modules/$version
mkdir -p initramfs/bin initramfs/modules
cp "$(command -v busybox)" initramfs/bin/busybox
# In the order in which they need each other.
needed() {
    for name in "$@"; do
        line=$(grep "/$name\.ko:" "$modules/modules.dep")
        for path in ${line#*:}; do echo "$path"; done | tac
        echo "${line%%:*}"
    done | awk '!seen[$0]++'
}
needed virtio_pci virtio_blk 9pnet_virtio 9p overlay | while read -r path; do
    cp "$modules/$path" initramfs/modules/
    basename "$path"
done > initramfs/modules/order
cp ../../tests/vm/initramfs-init.sh initramfs/init
chmod 755 initramfs/init
(cd initramfs && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) > initramfs.gz
rm -rf initramfs
# A disk for io.max: the first partitionless block device that a container may be given.
truncate -s 64M disk.raw
echo $recipe > ready
