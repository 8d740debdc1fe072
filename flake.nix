{
  description = "Hallmark: releases that anyone can check, and the tool to check them";

  # No inputs: what the build is made from stands in nix/inputs.json, by digest. The flake
  # evaluates offline; `cargo xtask inputs fetch` makes the inputs valid in the store.
  inputs = { };

  outputs = { self }:
    let
      system = "x86_64-linux";
      build = import ./nix/build.nix {
        src = builtins.path { path = self; name = "source"; };
        # The commit's time, as the release has it; of a tree with changes, the time of its commit.
        epoch = toString self.lastModified;
        root = self;
      };
      outputs = import ./nix/outputs.nix { inherit system build; };
      names = map (binary: binary.name) build.plan.binary;
      perPackage = f: builtins.listToAttrs
        (map (binary: { name = binary.package; value = f binary.name; }) build.plan.binary);
      packages = perPackage outputs.package;
    in
    {
      packages.${system} = packages // { default = build.binaries; };
      apps.${system} = perPackage (name: { type = "app"; program = "${outputs.launcher name}/bin/${name}"; });
      checks.${system} = packages // {
        runs = outputs.runs names;
      };
      devShells.${system}.default = outputs.shell;
      nixosModules.default = import ./nix/module.nix {
        memory-node = outputs.launcher "memory-node";
      };
      overlays.default = _final: _prev:
        builtins.listToAttrs (map (name: { inherit name; value = outputs.launcher name; }) names);
    };
}
