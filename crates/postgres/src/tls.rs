//! TLS by rustls on aws-lc-rs, and who may vouch for the server.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Error;

/// Who vouches for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Nobody: the connection is encrypted, and whoever answers is believed.
    Nothing,
    /// An authority, for whatever name.
    Authority(Roots),
    /// An authority, for this host.
    Host(Roots),
}

/// The authorities that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Those that this system believes.
    System,
    /// Those of a file.
    File(PathBuf),
}

/// A certificate and its key, which are shown to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

/// What encrypts connections.
///
/// # Errors
/// A file cannot be used, or the system names no authority.
pub(crate) fn connector(
    check: &Check,
    identity: Option<&Identity>,
) -> Result<MakeRustlsConnect, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::of(check, Arc::clone(&provider))?;
    let failed = |error: rustls::Error| Error::Connect(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = (certificates(&identity.chain)?, key(&identity.key)?);
            builder.with_client_auth_cert(chain, key).map_err(|_| Error::File {
                path: identity.key.display().to_string(),
                why: "the key does not fit the certificate".to_owned(),
            })?
        }
    };
    // Servers of 17 and later want to hear it where TLS begins at once.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(path, &error))?;
    if chain.is_empty() {
        return Err(unreadable(path, &rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let facts = std::fs::metadata(path);
    if facts.is_ok_and(|facts| facts.mode() & 0o077 != 0) {
        let why = "others than its owner can read this key; chmod 600".to_owned();
        return Err(Error::File { path: path.display().to_string(), why });
    }
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &rustls_pki_types::pem::Error) -> Error {
    let why = match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        rustls_pki_types::pem::Error::NoItemsFound => "it holds nothing of this kind in PEM".into(),
        // The parser's own words may quote the file, which may be a key.
        _ => "it is not PEM".into(),
    };
    Error::File { path: path.display().to_string(), why }
}

/// Judges the certificate of a server.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None where whoever answers is believed.
    roots: Option<RootCertStore>,
    /// Certificates that were named themselves. A server that shows one of them is believed, as by
    /// OpenSSL, even if that certificate calls itself an authority.
    named: Vec<CertificateDer<'static>>,
    is_name_checked: bool,
}

impl Verifier {
    fn of(check: &Check, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let (is_name_checked, roots) = match check {
            Check::Nothing => (false, None),
            Check::Authority(roots) => (false, Some(roots)),
            Check::Host(roots) => (true, Some(roots)),
        };
        let mut store = RootCertStore::empty();
        let mut named = Vec::new();
        match roots {
            None => {}
            Some(Roots::File(path)) => {
                named = certificates(path)?;
                // One that cannot be an authority may still be the server's own.
                store.add_parsable_certificates(named.iter().cloned());
            }
            Some(Roots::System) => {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if store.is_empty() {
                    return Err(Error::NoRoots);
                }
            }
        }
        Ok(Self { provider, roots: roots.map(|_| store), named, is_name_checked })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !self.named.iter().any(|named| named == end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.is_name_checked {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
