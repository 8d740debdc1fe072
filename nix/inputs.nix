# The pinned inputs as store paths. Each is a fixed-output derivation over the unpacked tree:
# its NAR hash decides, not who unpacked it. `cargo xtask inputs fetch` (or `inputs import`, or a
# binary cache that a release carries) makes them valid, and then no builder runs. Where one is
# missing everywhere, its builder fails with a text that names it and the command that gets it.
inputs:
let
  pinned = name: nar_sha256: derivation {
    inherit name;
    system = "builtin";
    builder = "builtin:fetchurl";
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    outputHash = nar_sha256;
    url = "file:///the pinned input `${name}` is not on this machine: run `cargo xtask inputs fetch`, or give Nix a cache that has it with `--option extra-substituters`";
    unpack = true;
    preferLocalBuild = true;
  };
in
{
  root = pinned "input-root" inputs.root.nar_sha256;
  rust = pinned "input-rust" inputs.rust.nar_sha256;
  auditable = pinned "input-cargo-auditable" inputs.cargo_auditable.nar_sha256;
  crates = pinned "input-crates" inputs.crates.nar_sha256;
}
