#!/bin/sh
# The recipe: how the binaries are made. It runs inside the root that enter.sh makes and sees
# only /usr, /rust, /crates, /auditable, /src, /deps, /build, /out, /tmp, /proc and /dev.
#
#   build.sh auditable   makes cargo-auditable from its pinned source     -> /out/bin
#   build.sh deps        compiles the dependencies of the plan's packages -> /out/target
#   build.sh binaries    compiles the packages on top of /deps            -> /out/bin
#
# Environment: PLAN_PACKAGES and PLAN_BINARIES (names, separated by blanks), PLAN_TARGET (a Rust
# triple), SOURCE_DATE_EPOCH (seconds, the commit's time), JOBS (how many compilers at once).
set -eu
umask 022

# Build scripts see one time for all commits. C libraries write it into their objects, and cargo
# compiles them again when it changes; so a dependency would be another one with each commit.
# A workspace's own build script finds the commit's time in COMMIT_DATE_EPOCH.
# (Not 0, which old versions of OpenSSL take for «not set».)
export COMMIT_DATE_EPOCH="$SOURCE_DATE_EPOCH" SOURCE_DATE_EPOCH=315532800

export CARGO_HOME=/build/cargo-home CARGO_TARGET_DIR=/build/target
export CARGO_INCREMENTAL=0 CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
export CARGO_BUILD_JOBS="$JOBS" RUST_BACKTRACE=0
# Nothing may follow the machine: no native CPU, no build id, no path of this root.
export RUSTFLAGS="--remap-path-prefix=/build/source=. --remap-path-prefix=/build/target=target --remap-path-prefix=/crates=crates --remap-path-prefix=/rust=rust -Clink-arg=-Wl,--build-id=none"
export CC=/bin/cc AR=/usr/bin/ar
export CFLAGS="-ffile-prefix-map=/build/source=. -ffile-prefix-map=/build/target=target -ffile-prefix-map=/crates=crates -Werror=date-time -g0"

# Procedural macros and build scripts may write in the order of a hash map, which is seeded anew
# in each process; Perl's are too. Rust's standard library asks getrandom() of the C library, so
# that it can be replaced: inside this root it answers the same bytes to everyone. (Nothing here
# makes keys, and names of temporary files are tried until one is free.)
fix_hash_seeds() {
    mkdir -p /build/fixed-seed
    cat >/build/fixed-seed/getrandom.c <<'SOURCE'
#include <string.h>
#include <sys/types.h>
ssize_t getrandom(void *bytes, size_t count, unsigned int flags)
{
    (void) flags;
    memset(bytes, 0x5a, count);
    return (ssize_t) count;
}
SOURCE
    cc -O1 -shared -fPIC -o /build/fixed-seed/getrandom.so /build/fixed-seed/getrandom.c
    export LD_PRELOAD=/build/fixed-seed/getrandom.so PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
}

# Points cargo at a folder of vendored crates, and away from any network.
vendored() {
    mkdir -p "$CARGO_HOME"
    printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "%s"\n' \
        "$1" >"$CARGO_HOME/config.toml"
}

# cargo with the dependency list embedded in each binary (section .dep-v0).
build_packages() {
    set --
    for package in $PLAN_PACKAGES; do set -- "$@" --package "$package"; done
    PATH=/deps/bin:$PATH cargo auditable build --release --frozen --target "$PLAN_TARGET" \
        --manifest-path /build/source/Cargo.toml "$@"
}

# Copies folder $2 from $1 to $3 with the modification times by which cargo knows what is fresh.
copy_tree() {
    tar -C "$1" -cf - "$2" | tar -C "$3" -xof -
}

# Names of the workspace's own packages: one manifest each, the root's included.
member_manifests() {
    find /build/source -name Cargo.toml -type f | sort
}

package_name() {
    sed -n '/^\[package\]/,/^\[[^p]/s/^name *= *"\([^"]*\)".*/\1/p' "$1" | head -n 1
}

fix_hash_seeds
case "$1" in
auditable)
    cp -r /auditable/cargo-auditable /build/source
    vendored /auditable/vendor
    cargo build --release --frozen --manifest-path /build/source/Cargo.toml
    mkdir -p /out/bin
    cp /build/target/release/cargo-auditable /out/bin/
    ;;
deps)
    # The source of this stage holds manifests only; every entry point that they may name
    # becomes an empty program. So the stage depends on Cargo.lock and the manifests, and its
    # result serves every commit that shares them.
    cp -r /src /build/source
    chmod -R u+w /build/source
    vendored /crates
    for manifest in $(member_manifests); do
        dir=${manifest%/Cargo.toml}
        [ -n "$(package_name "$manifest")" ] || continue
        # Tests, examples and benchmarks are not built, and their files are not here.
        awk '/^\[\[(test|example|bench)\]\]/ { skip = 1; next } /^\[/ { skip = 0 } !skip' \
            "$manifest" >/tmp/manifest
        cat /tmp/manifest >"$manifest"
        for path in src/lib.rs src/main.rs \
            $(sed -n 's/^ *path *= *"\([^"]*\.rs\)".*/\1/p' "$manifest") \
            $(sed -n 's/^build *= *"\([^"]*\.rs\)".*/\1/p' "$manifest"); do
            mkdir -p "$(dirname "$dir/$path")"
            printf '#![allow(dead_code)]\nfn main() {}\n' >"$dir/$path"
        done
    done
    build_packages
    release=/build/target/$PLAN_TARGET/release
    for profile in "$release" /build/target/release; do
        for manifest in $(member_manifests); do
            name=$(package_name "$manifest")
            [ -n "$name" ] || continue
            under=$(echo "$name" | tr - _)
            hash='????????????????'
            rm -rf "$profile"/.fingerprint/"$name"-$hash "$profile"/build/"$name"-$hash \
                "$profile"/deps/"$under"-$hash* "$profile"/deps/lib"$under"-$hash*
        done
    done
    for binary in $PLAN_BINARIES; do
        rm -rf "$release/$binary" "$release/$binary.d" \
            "$release"/deps/"$(echo "$binary" | tr - _)"-* \
            "$release"/deps/"$(echo "$binary" | tr - _)"_audit_data.o
    done
    rm -rf "$release"/incremental "$release"/lib*.rlib "$release"/lib*.d
    cp -r /deps/bin /out/bin
    copy_tree /build target /out
    ;;
binaries)
    cp -r /src /build/source
    chmod -R u+w /build/source
    vendored /crates
    copy_tree /deps target /build
    chmod -R u+w /build/target
    # Unpacking gave the folders new times; cargo would take what lies in them for changed.
    find /build/target -exec touch -h -d @1 {} +
    build_packages
    mkdir -p /out/bin
    for binary in $PLAN_BINARIES; do
        cp "/build/target/$PLAN_TARGET/release/$binary" /out/bin/
    done
    ;;
*)
    echo "build.sh: unknown stage '$1'" >&2
    exit 2
    ;;
esac
