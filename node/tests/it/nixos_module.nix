# Evaluates nix/module.nix with a stand-in for the NixOS module system: just the functions that the
# module uses, done as nixpkgs' `lib` does them. An option that is set and not declared, that has
# the wrong type, or that is needed and not set, ends the evaluation.
{ settings }:
let
  mapAttrs = builtins.mapAttrs;
  type = name: check: { inherit name check; };
  lib = {
    mkOption = option: option // { isOption = true; };
    mkEnableOption = what: lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether to enable ${what}.";
    };
    mkIf = condition: content: if condition then content else { };
    literalMD = text: { inherit text; };
    optional = condition: element: if condition then [ element ] else [ ];
    concatMapStringsSep = separator: f: list: builtins.concatStringsSep separator (map f list);
    escapeShellArg = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] text}'";
    types = {
      bool = type "boolean" builtins.isBool;
      str = type "string" builtins.isString;
      package = type "package" (value: value ? outPath);
      listOf = of: type "list of ${of.name}" (value: builtins.isList value && builtins.all of.check value);
    };
  };
  pkgs = {
    stdenv.hostPlatform.system = "x86_64-linux";
    writeShellScript = name: text: { inherit name text; };
  };
  package = {
    outPath = "/nix/store/package";
    __toString = self: self.outPath;
  };
  module = import ../../../nix/module.nix { memory-node.x86_64-linux = package; };
  evaluated = module { inherit config lib pkgs; };
  options = evaluated.options.services.memory-node;
  undeclared = builtins.attrNames (builtins.removeAttrs settings (builtins.attrNames options));
  config.services.memory-node = mapAttrs (
    name: option:
    let
      value = settings.${name} or option.default or (throw "the option `${name}` is not set");
    in
    if option.type.check value then value else throw "the option `${name}` is no ${option.type.name}"
  ) options;
in
if undeclared != [ ] then
  throw "there is no option `${builtins.head undeclared}`"
else
  evaluated.config
