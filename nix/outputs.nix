# What people get out of the build: a package a binary, launchers, a check, a shell.
# Each is made with the busybox of the pinned root; there is no stdenv.
{ system, build }:
let
  inherit (build) inputs binaries;
  busybox = "${inputs.root}/bin/busybox";
  libraries = "${inputs.root}/lib/x86_64-linux-gnu";
  loader = "${libraries}/ld-linux-x86-64.so.2";

  run = name: script: derivation {
    inherit name system;
    builder = busybox;
    args = [ "sh" "-euc" script ];
    PATH = "/bin";
  };
in
rec {
  # The binary as it is released, byte for byte.
  package = name: run name ''
    ${busybox} mkdir -p $out/bin
    ${busybox} cp ${binaries}/bin/${name} $out/bin/${name}
  '';

  # Starts the binary with the C library of the pinned root, so that it runs on NixOS too, where
  # /lib64/ld-linux-x86-64.so.2 is not what other systems have there.
  launcher = name: run "${name}-launcher" ''
    ${busybox} mkdir -p $out/bin
    ${busybox} printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' \
      ${loader} ${libraries} ${package name}/bin/${name} >$out/bin/${name}
    ${busybox} chmod 755 $out/bin/${name}
  '';

  # Every binary starts and says its version.
  runs = names: run "runs" (builtins.concatStringsSep "\n" (map
    (name: "${loader} --library-path ${libraries} ${package name}/bin/${name} --version >>$out")
    names));

  # Compiler, linker and toolchain of the build, for `nix develop`. That wants a bash, and the
  # root's needs its own loader where /lib64 has none, as in Nix's sandbox.
  bash = run "bash" ''
    ${busybox} mkdir -p $out/bin
    ${busybox} printf '#!%s sh\nexec %s --library-path %s %s "$@"\n' \
      ${busybox} ${loader} ${libraries} ${inputs.root}/bin/bash >$out/bin/bash
    ${busybox} chmod 755 $out/bin/bash
  '';
  shell = derivation {
    name = "shell";
    inherit system;
    builder = "${bash}/bin/bash";
    args = [ "-c" "exit 1" ];
    # `nix develop` writes the environment to the outputs that are named here.
    outputs = [ "out" ];
    PATH = "${inputs.rust}/bin:${inputs.root}/bin";
    CC = "gcc-12";
  };
}
