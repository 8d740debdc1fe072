//! The Debian packages that tasks need, each with the reason.

/// What a Debian package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// To compile and run xtask with the feature `engineer`.
    Engineer,
    /// To compile the whole workspace and run its tests.
    Tests,
    /// By single tests, which say that they were skipped where it is not there.
    Proofs,
    /// To build hermetically with Nix.
    Nix,
    /// To measure.
    Measurements,
}

/// One Debian package with the reason why it is needed.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) package: &'static str,
    /// A program or file that shows the package's content to be there, however it was installed.
    pub(super) shown_by: Sign,
    pub(super) used_for: &'static [Use],
    pub(super) reason: &'static str,
}

#[derive(Debug)]
pub(super) enum Sign {
    /// A program on `PATH`.
    Program(&'static str),
    /// Any of these files.
    File(&'static [&'static str]),
}

pub(super) const NEEDS: &[Need] = &[
    Need {
        package: "gcc",
        shown_by: Sign::Program("cc"),
        used_for: &[Use::Engineer, Use::Tests],
        reason: "the linker, and the C code of some crates",
    },
    Need {
        package: "libc6-dev",
        shown_by: Sign::File(&["/usr/include/stdio.h"]),
        used_for: &[Use::Engineer, Use::Tests],
        reason: "C headers for the crates with C code",
    },
    Need {
        package: "make",
        shown_by: Sign::Program("make"),
        used_for: &[Use::Tests],
        reason: "builds the node's vendored OpenSSL",
    },
    Need {
        package: "perl",
        shown_by: Sign::File(&[
            "/usr/share/perl/5.36",
            "/usr/share/perl/5.40",
            "/usr/share/perl",
        ]),
        used_for: &[Use::Tests],
        reason: "configures the node's vendored OpenSSL",
    },
    Need {
        package: "pkg-config",
        shown_by: Sign::Program("pkg-config"),
        used_for: &[Use::Engineer, Use::Tests],
        reason: "finds libgpgme",
    },
    Need {
        package: "libgpgme-dev",
        shown_by: Sign::File(&[
            "/usr/include/gpgme.h",
            "/usr/include/x86_64-linux-gnu/gpgme.h",
        ]),
        used_for: &[Use::Engineer, Use::Tests],
        reason: "GnuPG as a library: signs the bundle, checks the tag a second time",
    },
    Need {
        package: "libgpg-error-dev",
        shown_by: Sign::File(&[
            "/usr/include/gpg-error.h",
            "/usr/include/x86_64-linux-gnu/gpg-error.h",
        ]),
        used_for: &[Use::Engineer, Use::Tests],
        reason: "GnuPG's error codes, which libgpgme's headers include",
    },
    Need {
        package: "gnupg",
        shown_by: Sign::Program("gpg"),
        used_for: &[Use::Engineer, Use::Tests],
        reason: "the engineer's keys",
    },
    Need {
        package: "git",
        shown_by: Sign::Program("git"),
        used_for: &[Use::Engineer, Use::Tests],
        reason: "the tag, the tree's state and the source bundle",
    },
    Need {
        package: "openssh-client",
        shown_by: Sign::Program("ssh-keygen"),
        used_for: &[Use::Tests],
        reason: "makes the SSH-signed tag that the gate must refuse",
    },
    Need {
        package: "openssl",
        shown_by: Sign::Program("openssl"),
        used_for: &[Use::Tests],
        reason: "makes the keys and checks the signatures of attestations",
    },
    Need {
        package: "xz-utils",
        shown_by: Sign::Program("xz"),
        used_for: &[Use::Tests],
        reason: "packs archives that tests unpack",
    },
    Need {
        package: "zstd",
        shown_by: Sign::Program("zstd"),
        used_for: &[Use::Tests],
        reason: "packs a bundle into one file",
    },
    Need {
        package: "nix-bin",
        shown_by: Sign::Program("nix-store"),
        used_for: &[Use::Nix, Use::Tests],
        reason: "the reference engine of the hermetic build",
    },
    Need {
        package: "time",
        shown_by: Sign::File(&["/usr/bin/time"]),
        used_for: &[Use::Measurements],
        reason: "tells a program's peak memory",
    },
    Need {
        package: "bubblewrap",
        shown_by: Sign::Program("bwrap"),
        used_for: &[Use::Proofs],
        reason: "a second way into the root of the hermetic build",
    },
    Need {
        package: "busybox-static",
        shown_by: Sign::Program("busybox"),
        used_for: &[Use::Proofs],
        reason: "a root that a test fills itself",
    },
    Need {
        package: "chromium",
        shown_by: Sign::Program("chromium"),
        used_for: &[Use::Proofs],
        reason: "looks at the HTML report as a browser does",
    },
    Need {
        package: "dbus",
        shown_by: Sign::Program("dbus-daemon"),
        used_for: &[Use::Proofs],
        reason: "what `systemd-run` speaks over",
    },
    Need {
        package: "e2fsprogs",
        shown_by: Sign::Program("mkfs.ext4"),
        used_for: &[Use::Proofs],
        reason: "a small file system that runs full",
    },
    Need {
        package: "gpgsm",
        shown_by: Sign::Program("gpgsm"),
        used_for: &[Use::Proofs],
        reason: "makes the X.509-signed tag that must be refused",
    },
    Need {
        package: "iproute2",
        shown_by: Sign::Program("ip"),
        used_for: &[Use::Proofs],
        reason: "networks between the nodes of a test",
    },
    Need {
        package: "nftables",
        shown_by: Sign::File(&["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"]),
        used_for: &[Use::Proofs],
        reason: "loses packets where the kernel has no netem",
    },
    Need {
        package: "nodejs",
        shown_by: Sign::Program("node"),
        used_for: &[Use::Proofs],
        reason: "receivers of webhooks, and other readers of OpenPGP and DSSE",
    },
    Need {
        package: "npm",
        shown_by: Sign::Program("npm"),
        used_for: &[Use::Proofs],
        reason: "gets the packages of these",
    },
    Need {
        package: "openssh-server",
        shown_by: Sign::File(&["/usr/sbin/sshd"]),
        used_for: &[Use::Proofs],
        reason: "a remote builder of Nix",
    },
    Need {
        package: "python3-venv",
        shown_by: Sign::File(&[
            "/usr/lib/python3.11/ensurepip",
            "/usr/lib/python3.12/ensurepip",
            "/usr/lib/python3.13/ensurepip",
        ]),
        used_for: &[Use::Proofs],
        reason: "other programs that read and write what is made here",
    },
    Need {
        package: "sqlite3",
        shown_by: Sign::Program("sqlite3"),
        used_for: &[Use::Proofs],
        reason: "the stock program that must not open the database",
    },
    Need {
        package: "systemd",
        shown_by: Sign::File(&["/lib/systemd/systemd"]),
        used_for: &[Use::Proofs],
        reason: "starts the node as a service",
    },
];
