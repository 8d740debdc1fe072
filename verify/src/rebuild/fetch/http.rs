//! One bounded HTTPS download. The pin of the caller decides whether the bytes are right.

use std::{io::Read as _, time::Duration};

/// Longest that one download may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Fetches at most `limit_bytes` from an `https:` address.
///
/// # Errors
/// A text that says what failed, without the address.
pub(crate) fn get(url: &str, limit_bytes: u64) -> Result<Vec<u8>, String> {
    if !url.starts_with("https://") {
        return Err("the address is not https".to_owned());
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    let agent = ureq::Agent::config_builder()
        .https_only(true)
        .tls_config(tls)
        .timeout_global(Some(TIMEOUT))
        .timeout_connect(Some(Duration::from_secs(10)))
        .build()
        .new_agent();
    let response = agent.get(url).call().map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    let mut body = response
        .into_body()
        .into_reader()
        .take(limit_bytes.saturating_add(1));
    body.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit_bytes {
        return Err(format!("more than {limit_bytes} bytes came"));
    }
    Ok(bytes)
}
