#!/bin/sh
# Boots systemd as the first process of namespaces of its own (pid, mount, net, uts, ipc, cgroup), on
# an overlay of this machine's files whose changes are forgotten. What may be written outside is
# cgroups of its own and the folder SHARED.
# usage: boot.sh SCRATCH SHARED BINARY UNIT PROOF
set -e
scratch=$1 shared=$2 binary=$3 unit=$4 proof=$5
mount --make-rprivate /
mount -t tmpfs tmpfs "$scratch"
root=$scratch/root
mkdir -p "$scratch/upper" "$scratch/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
fi
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/run/shared"
mount --bind "$shared" "$root/run/shared"
# Nothing of this machine is started, but for what systemd itself and the unit ask for.
rm -rf "$root"/etc/systemd/system/*.wants "$root/etc/credstore.encrypted" "$root/etc/fstab"
rm -f "$root/etc/machine-id"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
cp "$binary" "$root/usr/bin/memory-node"
cp "$unit" "$root/etc/systemd/system/memory-node.service"
cp "$proof" "$root/usr/bin/proof.sh"
cat > "$root/etc/systemd/system/proof.service" <<END
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh /usr/bin/proof.sh
ExecStopPost=/bin/systemctl poweroff --force --force
StandardOutput=file:/run/shared/proof.log
StandardError=inherit
END
cd "$root"
mkdir -p old
pivot_root . old
umount -l old
# In a container it is the manager's part to say so; credentials are mounted and then moved.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=proof.service --log-target=null
