#!/bin/sh
# Backend of rebuilderd's worker: `verify rebuild` on a release bundle (`.tar.zst`).
#
# The worker calls it with the bundle that it has downloaded, and then compares each shipped binary
# with the file of the same name in $REBUILDERD_OUTDIR. It does not look at this script's exit code:
# so nothing may stand there that was not built here, from a tag that a trusted key signed.
#
#   HALLMARK_KEYRING   certificates that may sign the tag (default /etc/rebuilderd/hallmark.asc)
#   HALLMARK_POLICY    policy for `verify`, where there is one
#   HALLMARK_ENGINE    `nix` or `namespaces`; without it Nix where it is installed
set -eu
umask 022

bundle=${1:?the bundle is missing}
out=${REBUILDERD_OUTDIR:?the folder for what is built is not named}
keyring=${HALLMARK_KEYRING:-/etc/rebuilderd/hallmark.asc}

built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT

code=0
verify rebuild "$bundle" --keyring "$keyring" --out "$built/out" \
	${HALLMARK_POLICY:+--policy "$HALLMARK_POLICY"} \
	${HALLMARK_ENGINE:+--engine "$HALLMARK_ENGINE"} || code=$?

case $code in
# 1 with a build: other bytes. The worker sees that itself, and can show where they differ.
0 | 1) ;;
*)
	echo "no verdict (exit code $code): nothing is handed to the worker" >&2
	exit "$code"
	;;
esac
if [ ! -d "$built/out/bin" ]; then
	echo "nothing was built: nothing is handed to the worker" >&2
	exit "$code"
fi
cp "$built/out/bin/"* "$out/"
