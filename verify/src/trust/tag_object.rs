//! The form of a tag object: its headers, its message, and where its signature begins.
//!
//! Read strictly: what git or a person could see in another way than this reader is malformed.

use std::time::SystemTime;

use super::tag_refusal::TagRefusal;

/// The largest tag object that is read, in bytes.
const MAX_TAG_BYTES: usize = 4 << 20;

/// The headers of a tag object, in the order and number that git writes.
pub(super) struct ParsedTag<'a> {
    whole: &'a [u8],
    body_at: usize,
    pub(super) object: &'a [u8],
    pub(super) kind: &'a [u8],
    pub(super) name: &'a [u8],
    tagger: &'a [u8],
}

impl<'a> ParsedTag<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, TagRefusal> {
        if bytes.len() > MAX_TAG_BYTES {
            return Err(malformed("it is too large"));
        }
        let mut at = 0;
        let mut header = |key: &str| -> Result<&'a [u8], TagRefusal> {
            let line = bytes[at..]
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            at += line.len() + 1;
            line.strip_prefix(key.as_bytes())
                .and_then(|rest| rest.strip_prefix(b" "))
                .filter(|_| at <= bytes.len())
                .ok_or_else(|| malformed(&format!("where `{key}` is due stands something else")))
        };
        let object = header("object")?;
        let kind = header("type")?;
        let name = header("tag")?;
        let tagger = header("tagger")?;
        // Any further header (`gpgsig`, `encoding`) would be signed or shown in another way.
        if bytes.get(at) != Some(&b'\n') {
            return Err(malformed("it has further headers, or no message"));
        }
        Ok(Self {
            whole: bytes,
            body_at: at + 1,
            object,
            kind,
            name,
            tagger,
        })
    }

    /// The time that the tagger stated: `NAME <MAIL> SECONDS ZONE`.
    pub(super) fn tagger_time(&self) -> Option<SystemTime> {
        let text = std::str::from_utf8(self.tagger).ok()?;
        let seconds = text.rsplit(' ').nth(1)?.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))
    }

    /// Where the signature begins and its format. Splits where git splits: at the last line that
    /// begins a signature.
    pub(super) fn split(&self) -> Option<(usize, Format)> {
        let mut found = None;
        let mut at = self.body_at;
        for line in self.whole[self.body_at..].split_inclusive(|byte| *byte == b'\n') {
            let format = [
                ("-----BEGIN PGP SIGNATURE-----", Format::OpenPgp),
                ("-----BEGIN PGP MESSAGE-----", Format::OpenPgpMessage),
                ("-----BEGIN SSH SIGNATURE-----", Format::Ssh),
                ("-----BEGIN SIGNED MESSAGE-----", Format::X509),
            ]
            .into_iter()
            .find(|(marker, _)| line.starts_with(marker.as_bytes()));
            if let Some((_, format)) = format {
                found = Some((at, format));
            }
            at += line.len();
        }
        found
    }

    /// What an OpenPGP signature is over, and the signature.
    pub(super) fn signature(&self) -> Result<(&'a [u8], &'a [u8]), TagRefusal> {
        match self.split() {
            None => Err(TagRefusal::Unsigned),
            Some((_, Format::Ssh)) => Err(TagRefusal::SshSigned),
            Some((_, Format::X509)) => Err(TagRefusal::X509Signed),
            Some((_, Format::OpenPgpMessage)) => Err(malformed(
                "it holds an OpenPGP message where a detached signature is due",
            )),
            Some((at, Format::OpenPgp)) => {
                let signature = &self.whole[at..];
                if signature
                    .trim_ascii_end()
                    .ends_with(b"-----END PGP SIGNATURE-----")
                {
                    Ok((&self.whole[..at], signature))
                } else {
                    Err(malformed("something follows its signature"))
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Format {
    OpenPgp,
    OpenPgpMessage,
    Ssh,
    X509,
}

pub(super) fn malformed(why: &str) -> TagRefusal {
    TagRefusal::Malformed {
        why: why.to_owned(),
    }
}
