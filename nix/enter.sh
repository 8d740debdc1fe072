#!/bin/sh
# Makes the root in which the build runs, and runs one stage of the recipe in it.
#
# Called with a static busybox as interpreter, by both engines:
#   busybox sh enter.sh STAGE
# and these in the environment, absolute paths each:
#   BUSYBOX   the static busybox            ROOT      the unpacked Debian root (seen as /usr)
#   RUST      the Rust toolchain (/rust)    CRATES    the vendored crates (/crates)
#   AUDITABLE cargo-auditable's source (/auditable)
#   SRC       the source of this stage (/src)        RECIPE  the folder with build.sh (/recipe)
#   DEPS      what the stage before left (/deps); empty for none
#   SCRATCH   an empty folder on disk (/build)        OUT     an empty folder for the result (/out)
#   PLAN_*, SOURCE_DATE_EPOCH, JOBS: handed on to the recipe (see build.sh)
#   VARY_HOSTNAME, VARY_UMASK: only for builds under varied conditions
#
# Inside there is no network, no host file, no set-uid program and no way back: the old root is
# unmounted before the recipe starts. What is mounted read-only stays so, or nothing is run.
set -eu

if [ "${1:-}" != --inside ]; then
    # User, mount, IPC, UTS and network namespaces; a PID namespace too where /proc may be
    # mounted afresh (Nix's own sandbox has one already and forbids a second /proc).
    if "$BUSYBOX" unshare -Urmipn -f "$BUSYBOX" mount -t proc proc /proc 2>/dev/null; then
        exec "$BUSYBOX" unshare -Urmiupn -f "$BUSYBOX" sh "$0" --inside fresh-proc "$@"
    fi
    exec "$BUSYBOX" unshare -Urmiun "$BUSYBOX" sh "$0" --inside bound-proc "$@"
fi

proc=$2 stage=$3
bb() { "$BUSYBOX" "$@"; }

bb hostname "${VARY_HOSTNAME:-build}"
bb mount --make-rprivate / 2>/dev/null || bb mount -o rprivate none / 2>/dev/null || true

new=$SCRATCH/root
bb mkdir -p "$SCRATCH/build" "$new"
bb mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$new"
for dir in usr rust crates auditable src recipe deps build out tmp proc dev bin etc old; do
    bb mkdir "$new/$dir"
done

# Bind $1 onto $2, read-only, with the flags that the kernel locks in a user namespace kept.
bind_ro() {
    bb mount --rbind "$1" "$new/$2"
    for flags in nosuid,nodev nosuid,nodev,relatime nosuid,nodev,noatime nosuid nodev ""; do
        if bb mount -o "remount,bind,ro${flags:+,$flags}" "$new/$2" 2>/dev/null; then break; fi
    done
    # Proof by trying: a folder that can still be written to ends the build here.
    if bb touch "$new/$2/.writable" 2>/dev/null; then
        bb rm -f "$new/$2/.writable"
        echo "enter.sh: $2 could not be made read-only" >&2
        exit 2
    fi
}

bind_ro "$ROOT" usr
bind_ro "$RUST" rust
bind_ro "$CRATES" crates
bind_ro "$AUDITABLE" auditable
bind_ro "$SRC" src
bind_ro "$RECIPE" recipe
if [ -n "${DEPS:-}" ]; then bind_ro "$DEPS" deps; fi
bb mount --bind "$SCRATCH/build" "$new/build"
bb mount --bind "$OUT" "$new/out"
bb mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$new/tmp"

if [ "$proc" = fresh-proc ]; then
    bb mount -t proc -o nosuid,nodev,noexec proc "$new/proc"
    bb mount -o remount,bind,ro,nosuid,nodev,noexec "$new/proc"
else
    bb mount --rbind /proc "$new/proc"
fi
for device in null zero full random urandom; do
    : >"$new/dev/$device"
    bb mount --bind "/dev/$device" "$new/dev/$device"
done
bb ln -s /proc/self/fd "$new/dev/fd"

# The root is /usr alone; the rest are the links that every merged-/usr system has.
bb ln -s usr/lib "$new/lib"
bb ln -s usr/lib64 "$new/lib64"
for applet in $(bb --list); do bb ln -s /usr/bin/busybox "$new/bin/$applet"; done
for name in cc gcc; do bb ln -s /usr/bin/gcc-12 "$new/bin/$name"; done
bb ln -s /usr/bin/cpp-12 "$new/bin/cpp"
echo 'root:x:0:0:root:/tmp:/bin/sh' >"$new/etc/passwd"
echo 'root:x:0:' >"$new/etc/group"

cd "$new"
bb pivot_root . old
bb_inside=/usr/bin/busybox
$bb_inside umount -l /old
$bb_inside rmdir /old
cd /

umask "${VARY_UMASK:-022}"
exec $bb_inside env -i \
    PATH=/rust/bin:/usr/bin:/bin \
    HOME="${VARY_HOME:-/tmp}" LC_ALL="${VARY_LOCALE:-C}" TZ="${VARY_TZ:-UTC}" \
    SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" JOBS="$JOBS" \
    PLAN_PACKAGES="$PLAN_PACKAGES" PLAN_BINARIES="$PLAN_BINARIES" PLAN_TARGET="$PLAN_TARGET" \
    $bb_inside sh /recipe/build.sh "$stage"
