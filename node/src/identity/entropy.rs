//! Random bytes, from the kernel only.

/// The kernel gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the kernel gave no random bytes: {0}")]
pub struct NoEntropy(getrandom::Error);

/// `N` random bytes from the kernel.
///
/// # Errors
/// When `getrandom(2)` fails, which it does only where the system call is forbidden.
pub fn random<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(NoEntropy)?;
    Ok(bytes)
}
