#!/bin/busybox sh
# Process 1 of the guest, in the initramfs: the host's file system below a tmpfs becomes the root.
export PATH=/bin
/bin/busybox --install -s /bin
fail() {
    echo "GUEST: $1 failed"
    mount -t proc proc /proc 2>/dev/null
    echo b > /proc/sysrq-trigger
    sleep 5
}
mkdir -p /proc /dev /host /above /new
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module" || fail "insmod $module"
done < /modules/order
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host || fail 9p
mount -t tmpfs -o mode=755,size=75% tmpfs /above || fail tmpfs
mkdir /above/upper /above/work
mount -t overlay -o lowerdir=/host,upperdir=/above/upper,workdir=/above/work root /new ||
    fail overlay
for word in $(cat /proc/cmdline); do
    case $word in stage2=*) stage2=${word#stage2=} ;; esac
done
umount /proc
mount --move /dev /new/dev
exec switch_root /new /bin/sh "$stage2" || fail switch_root
