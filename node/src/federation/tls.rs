//! TLS between pinned peers: 1.3 only, both ends pinned, nothing resumed.
//!
//! A pin without the handshake's signature proves nothing: a certificate is public, and whoever
//! shows it has not shown its key. So both verifiers check, in this order: exactly one certificate,
//! the pin, the validity dates, and (by rustls, through `verify_tls13_signature`) that the peer
//! signed this very handshake. A verifier here never answers for a TLS version before 1.3.

use std::sync::Arc;

use openssl::asn1::Asn1Time;
use openssl::x509::X509;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};

use super::identity::{Fingerprint, NodeCertificate};
use super::trust::Trust;

/// The cryptography, named: what a feature of some dependency would bring in is not asked.
#[must_use]
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
        ],
        ..aws_lc_rs::default_provider()
    }
}

/// What a listener of the federation speaks; whoever is not in `trust` at that moment is refused.
///
/// # Errors
/// When the certificate and its key do not fit, or the provider lacks something.
pub fn server_config(own: &NodeCertificate, trust: Arc<Trust>) -> Result<ServerConfig, Error> {
    let provider = Arc::new(provider());
    let verifier = Arc::new(PinnedClients {
        trust,
        provider: Arc::clone(&provider),
    });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.certificate().clone()], own.key())?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// What a dial to exactly one peer speaks.
///
/// # Errors
/// When the certificate and its key do not fit, or the provider lacks something.
pub fn client_config(own: &NodeCertificate, peer: Fingerprint) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider());
    let verifier = Arc::new(PinnedServer {
        peer,
        provider: Arc::clone(&provider),
    });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![own.certificate().clone()], own.key())?;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    // Names play no part; the pin does.
    config.enable_sni = false;
    Ok(config)
}

/// Lets in whoever is on the allowlist at this moment.
#[derive(Debug)]
struct PinnedClients {
    trust: Arc<Trust>,
    provider: Arc<CryptoProvider>,
}

/// Believes in one certificate.
#[derive(Debug)]
struct PinnedServer {
    peer: Fingerprint,
    provider: Arc<CryptoProvider>,
}

fn check(
    end_entity: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: UnixTime,
    pinned: impl FnOnce(&Fingerprint) -> bool,
) -> Result<(), Error> {
    if !others.is_empty() {
        return Err(Error::General(
            "the peer sent more than one certificate".to_owned(),
        ));
    }
    if !pinned(&Fingerprint::of(end_entity)) {
        return Err(CertificateError::ApplicationVerificationFailure.into());
    }
    // Only a certificate that somebody pinned is parsed.
    in_force(end_entity, now)
}

fn in_force(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let broken = |_| Error::from(CertificateError::BadEncoding);
    let parsed = X509::from_der(certificate.as_ref()).map_err(broken)?;
    let seconds = i64::try_from(now.as_secs()).map_err(|_| CertificateError::Expired)?;
    let now = Asn1Time::from_unix(seconds).map_err(broken)?;
    if parsed.not_before() > now {
        return Err(CertificateError::NotValidYet.into());
    }
    if parsed.not_after() < now {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// The handshake's own signature: only the holder of the certificate's key can make it.
fn signed(
    provider: &CryptoProvider,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    rustls::crypto::verify_tls13_signature(
        message,
        certificate,
        signature,
        &provider.signature_verification_algorithms,
    )
}

fn too_old() -> Error {
    Error::General("TLS before 1.3 is not spoken".to_owned())
}

impl ClientCertVerifier for PinnedClients {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check(end_entity, intermediates, now, |fingerprint| {
            self.trust.allowlist().get(fingerprint).is_some()
        })
        .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check(end_entity, intermediates, now, |fingerprint| {
            *fingerprint == self.peer
        })
        .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signed(&self.provider, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
