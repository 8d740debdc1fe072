# The node as a NixOS service, with the very settings of node/dist/memory-node.service.
#
#   services.memory-node = {
#     enable = true;
#     passphraseCredential = "/etc/credstore.encrypted/memory-node.db-passphrase";
#   };
#
# The credential is made with `systemd-creds encrypt --name=db-passphrase - FILE`. It never enters
# the Nix store: only its path stands here.
{ memory-node }:
{ config, lib, pkgs, ... }:
let
  cfg = config.services.memory-node;
  listen = lib.concatMapStringsSep " " (address: "--listen ${lib.escapeShellArg address}") cfg.listen;
  origins =
    lib.concatMapStringsSep " " (origin: "--allow-origin ${lib.escapeShellArg origin}") cfg.allowOrigins;
in
{
  options.services.memory-node = {
    enable = lib.mkEnableOption "the reference node for AI memories";
    package = lib.mkOption {
      type = lib.types.package;
      default = memory-node.${pkgs.stdenv.hostPlatform.system} or memory-node;
      defaultText = lib.literalMD "this flake's `node`";
      description = "The package with `bin/memory-node`.";
    };
    listen = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ "127.0.0.1:9077" "unix:/run/memory-node/node.sock" ];
      description = "Where the local API listens: loopback addresses and `unix:` sockets.";
    };
    allowOrigins = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Origins of pages that may talk to the node.";
    };
    passphraseCredential = lib.mkOption {
      type = lib.types.str;
      example = "/etc/credstore.encrypted/memory-node.db-passphrase";
      description = "The encrypted credential `db-passphrase`, as `systemd-creds encrypt` writes it.";
    };
    initialize = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Make the database when there is none. One that is there is never touched.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    systemd.services.memory-node = {
      description = "Reference node for AI memories";
      wantedBy = [ "multi-user.target" ];
      after = [ "local-fs.target" ];
      serviceConfig = {
        Type = "exec";
        ExecStartPre = lib.optional cfg.initialize (pkgs.writeShellScript "memory-node-initialize" ''
          test -e "$STATE_DIRECTORY/memory.db" || exec ${cfg.package}/bin/memory-node init
        '');
        ExecStart = "${cfg.package}/bin/memory-node serve ${listen} ${origins}";
        LoadCredentialEncrypted = "db-passphrase:${cfg.passphraseCredential}";
        DynamicUser = true;
        StateDirectory = "memory-node";
        StateDirectoryMode = "0700";
        RuntimeDirectory = "memory-node";
        RuntimeDirectoryMode = "0750";
        UMask = "0077";
        Restart = "on-failure";
        RestartSec = "2s";
        TimeoutStopSec = "30s";
        LimitCORE = 0;
        LimitNOFILE = 4096;

        AmbientCapabilities = "";
        CapabilityBoundingSet = "";
        IPAddressAllow = "localhost";
        IPAddressDeny = "any";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateMounts = true;
        PrivateTmp = true;
        PrivateUsers = true;
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RemoveIPC = true;
        RestrictAddressFamilies = [ "AF_UNIX" "AF_INET" "AF_INET6" ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallErrorNumber = "EPERM";
        SystemCallFilter = [ "@system-service" "~@privileged @resources" ];
      };
    };
  };
}
