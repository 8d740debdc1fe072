# The engine `nix`: the three stages of build.sh as derivations, each in Nix's sandbox.
#
#   src    path of the source tree
#   epoch  the commit's time in seconds, as a string (SOURCE_DATE_EPOCH)
#   root   the workspace whose release.toml and inputs.json are read; src unless told otherwise
{ src, epoch, root ? src }:
let
  plan = builtins.fromTOML (builtins.readFile (root + "/release.toml"));
  inputsFile = builtins.fromJSON (builtins.readFile (root + "/${plan.build.inputs}"));
  inputs = import ./inputs.nix inputsFile;

  systems = { "x86_64-unknown-linux-gnu" = "x86_64-linux"; };
  words = builtins.concatStringsSep " ";
  unique = builtins.foldl' (seen: x: if builtins.elem x seen then seen else seen ++ [ x ]) [ ];

  # Only what decides the dependencies: the manifests, the lock file, cargo's configuration.
  manifests = builtins.path {
    path = src;
    name = "manifests";
    filter = path: type:
      type == "directory" && !builtins.elem (baseNameOf path) [ ".git" "target" ]
      || builtins.elem (baseNameOf path) [ "Cargo.toml" "Cargo.lock" "config.toml" "rust-toolchain.toml" ];
  };
  recipe = builtins.path { path = ./.; name = "recipe"; filter = path: _: builtins.elem (baseNameOf path) [ "build.sh" "enter.sh" ]; };

  stage = name: { source, deps, time }: derivation {
    inherit name;
    system = systems.${plan.target};
    builder = "${inputs.root}/bin/busybox";
    args = [
      "sh" "-euc" ''
        busybox=$BUSYBOX
        $busybox mkdir -p "$out" "$NIX_BUILD_TOP/scratch"
        export OUT="$out" SCRATCH="$NIX_BUILD_TOP/scratch" JOBS="''${NIX_BUILD_CORES:-1}"
        [ "$JOBS" -gt 0 ] || JOBS=$($busybox nproc)
        exec $busybox sh "$RECIPE/enter.sh" ${name}
      ''
    ];
    BUSYBOX = "${inputs.root}/bin/busybox";
    ROOT = inputs.root;
    RUST = inputs.rust;
    CRATES = inputs.crates;
    AUDITABLE = inputs.auditable;
    RECIPE = recipe;
    SRC = source;
    DEPS = deps;
    SOURCE_DATE_EPOCH = time;
    PLAN_PACKAGES = words (unique (map (b: b.package) plan.binary));
    PLAN_BINARIES = words (map (b: b.name) plan.binary);
    PLAN_TARGET = plan.target;
    # The results are read by people and by the next stage; none of them refers to the store.
    allowedReferences = [ ];
  };

  auditable = stage "auditable" { source = inputs.auditable; deps = ""; time = "315532800"; };
  deps = stage "deps" { source = manifests; deps = auditable; time = "315532800"; };
  binaries = stage "binaries" { source = src; inherit deps; time = epoch; };
in
{ inherit inputs auditable deps binaries plan; }
