//! Answers: are these bytes exactly one armored OpenPGP signature, written the one way?
//!
//! Armor can be written in many ways that mean the same, and a file that nothing else covers
//! (`SHA256SUMS.asc`) must not be changeable without notice. So this reader takes only what
//! GnuPG writes: no headers, lines of 64 characters, the checksum line, one final newline.
//! RFC 9580, section 6.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----\n\n";
const END: &str = "-----END PGP SIGNATURE-----\n";
const LINE_WIDTH: usize = 64;

/// Why armor is not in its one accepted spelling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArmorError {
    /// It is no text.
    #[error("it is not text")]
    NotText,
    /// The first line or the empty line after it is not as expected.
    #[error("it does not begin with `-----BEGIN PGP SIGNATURE-----` and an empty line")]
    Begin,
    /// The last line is not as expected, or something follows it.
    #[error("it does not end with `-----END PGP SIGNATURE-----` and one newline")]
    End,
    /// A line has another width than 64 characters, or is not canonical base64.
    #[error("the body is not base64 in lines of 64 characters")]
    Body,
    /// The checksum line is missing or names another sum.
    #[error("the checksum line is missing or wrong")]
    Checksum,
}

/// Reads strictly armored bytes.
///
/// # Errors
/// When one byte of it could be another without changing what is read.
pub fn read(armored: &[u8]) -> Result<Vec<u8>, ArmorError> {
    let text = std::str::from_utf8(armored).map_err(|_| ArmorError::NotText)?;
    let inner = text.strip_prefix(BEGIN).ok_or(ArmorError::Begin)?;
    let inner = inner.strip_suffix(END).ok_or(ArmorError::End)?;
    let (body, sum) = inner.rsplit_once("\n=").ok_or(ArmorError::Checksum)?;
    let sum = sum.strip_suffix('\n').ok_or(ArmorError::Checksum)?;
    let lines: Vec<&str> = body.split('\n').collect();
    let (last, full) = lines.split_last().ok_or(ArmorError::Body)?;
    let widths_hold =
        full.iter().all(|line| line.len() == LINE_WIDTH) && (1..=LINE_WIDTH).contains(&last.len());
    if !widths_hold {
        return Err(ArmorError::Body);
    }
    let decoded = STANDARD
        .decode(lines.concat())
        .map_err(|_| ArmorError::Body)?;
    let expected = crc24(&decoded).to_be_bytes();
    if STANDARD.decode(sum).map_err(|_| ArmorError::Checksum)? != expected[1..] {
        return Err(ArmorError::Checksum);
    }
    Ok(decoded)
}

/// Writes the one spelling that [`read`] takes.
#[must_use]
pub fn write(signature: &[u8]) -> String {
    let encoded = STANDARD.encode(signature);
    let mut text = String::from(BEGIN);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(LINE_WIDTH));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push('=');
    text.push_str(&STANDARD.encode(&crc24(signature).to_be_bytes()[1..]));
    text.push('\n');
    text.push_str(END);
    text
}

/// RFC 9580, section 6.1.1.
fn crc24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x00b7_04ce, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 16), |crc, _| {
            let shifted = crc << 1;
            if shifted & 0x0100_0000 == 0 {
                shifted
            } else {
                (shifted ^ 0x0186_4cfb) & 0x00ff_ffff
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for length in [1, 47, 48, 49, 96, 200] {
            let bytes: Vec<u8> = (0..length).collect();
            assert_eq!(read(write(&bytes).as_bytes()).unwrap(), bytes);
        }
    }

    #[test]
    fn any_changed_byte_is_refused_or_read_as_other_bytes() {
        let bytes: Vec<u8> = (0..119).collect();
        let good = write(&bytes).into_bytes();
        for at in 0..good.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                assert!(
                    read(&bad).is_err(),
                    "byte {at} flipped by {flip:#x} was not noticed"
                );
            }
        }
    }
}
