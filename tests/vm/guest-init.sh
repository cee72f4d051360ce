#!/bin/sh
# Process 1 of the guest after the initramfs: what a booted host has, then the work that
# tests/support/vm.py put into WORK, then its verdict on the serial line.
work=$WORK
here=$(dirname "$0")/../..
cd "$here" || exit 1
here=$PWD
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
# Overlay mounts of containers need an upper layer that is none itself: a tmpfs for temporary files.
mount -t tmpfs -o mode=1777,size=75% tmpfs /tmp
ln -snf /proc/self/fd /dev/fd
kernel=$(uname -r)
mkdir -p "/lib/modules/$kernel"
mount --bind ".work/vm/kernel/lib/modules/$kernel" "/lib/modules/$kernel"
modprobe=/usr/local/sbin/modprobe
printf '#!/bin/sh\nexec /bin/busybox modprobe -q "$@"\n' > $modprobe
chmod 755 $modprobe
echo $modprobe > /proc/sys/kernel/modprobe
# Which drivers the suites try, they see by what there is.
$modprobe -a dm-thin-pool loop fuse xfs
echo "+cpuset +cpu +io +memory +hugetlb +pids" > /sys/fs/cgroup/cgroup.subtree_control
ip link set lo up
hostname wherry-vm
export PATH="$here/.work/vm/apparmor/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export HOME=/root TMPDIR=/tmp LANG=C.UTF-8 WHERRY_IN_VM=1
echo "GUEST: up after $(cut -d' ' -f1 /proc/uptime) s"
sh -c "$work" < /dev/null
echo "GUEST: RUN-RC $?"
# The host ends the machine when it has read that; a reset now could cut the line short.
sleep 60
echo b > /proc/sysrq-trigger
