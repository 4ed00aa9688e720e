//! Webhooks: signed ones, and the form that Slack and its kin take.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use hyper::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use super::Undelivered;
use super::message::Message;

/// The whole exchange must be done within this.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A secret that can be guessed signs nothing.
const SECRET_MIN_BYTES: usize = 16;

/// Files that name a URL or hold a secret are small.
const FILE_MAX_BYTES: usize = 64 * 1024;

/// Reads every file once and checks what is in it.
pub(super) fn check(
    url_file: &Path,
    secret_file: Option<&Path>,
    ca_file: Option<&Path>,
) -> Result<(), Undelivered> {
    url(url_file)?;
    if let Some(file) = secret_file {
        secret(file)?;
    }
    roots(ca_file).map(drop)
}

/// Posts a message with its signature.
pub(super) fn post_signed(
    url_file: &Path,
    secret_file: &Path,
    ca_file: Option<&Path>,
    message: &Message,
    unix_secs: i64,
) -> Result<(), Undelivered> {
    let secret = secret(secret_file)?;
    let signature = signature(secret.as_bytes(), unix_secs, &message.body);
    let id = message.id.to_string();
    let headers = [("keywheel-signature", signature.as_str()), ("keywheel-notice", id.as_str())];
    post(url_file, ca_file, &headers, &message.body)
}

/// Posts the sentence of a message.
pub(super) fn post_slack(
    url_file: &Path,
    ca_file: Option<&Path>,
    message: &Message,
) -> Result<(), Undelivered> {
    let body = serde_json::json!({ "text": message.text }).to_string();
    post(url_file, ca_file, &[], body.as_bytes())
}

/// `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<unix seconds>.<body>">`.
fn signature(secret: &[u8], unix_secs: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{unix_secs}.").as_bytes());
    context.update(body);
    let mut signature = format!("t={unix_secs},v1=");
    for byte in context.sign().as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

fn post(
    url_file: &Path,
    ca_file: Option<&Path>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(), Undelivered> {
    let url = url(url_file)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(roots(ca_file)?)
        .build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        // A redirect would carry the notice to somebody whom nobody named.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent("keywheel")
        .build()
        .into();
    let mut request = agent.post(url.as_str()).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match request.send(body) {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(Undelivered(format!("it answered {}", response.status().as_u16()))),
        // The library's words may name the URL, which may be a secret.
        Err(ureq::Error::Timeout(_)) => Err(Undelivered("it did not answer in time".into())),
        Err(ureq::Error::Io(error)) => Err(Undelivered(format!("no exchange: {}", error.kind()))),
        Err(_) => Err(Undelivered("it cannot be reached, or its TLS is not trusted".into())),
    }
}

fn url(file: &Path) -> Result<Zeroizing<String>, Undelivered> {
    let url = read(file)?;
    let named = || Undelivered(format!("{} does not hold a usable URL", file.display()));
    let uri: Uri = url.parse().map_err(|_| named())?;
    let host = uri.host().ok_or_else(named)?.trim_start_matches('[').trim_end_matches(']');
    let loopback =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if loopback => Ok(url),
        Some("http") => Err(Undelivered(format!(
            "{} holds a plain http URL, which is for loopback only; use https",
            file.display()
        ))),
        _ => Err(named()),
    }
}

fn secret(file: &Path) -> Result<Zeroizing<String>, Undelivered> {
    let secret = read(file)?;
    if secret.len() < SECRET_MIN_BYTES {
        let file = file.display();
        return Err(Undelivered(format!("{file} holds less than {SECRET_MIN_BYTES} bytes")));
    }
    Ok(secret)
}

fn roots(ca_file: Option<&Path>) -> Result<RootCerts, Undelivered> {
    let Some(file) = ca_file else { return Ok(RootCerts::WebPki) };
    let pem = read(file)?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem.as_bytes()) {
        match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => {
                certificates.push(Certificate::to_owned(&certificate));
            }
            Ok(_) => {}
            Err(_) => return Err(Undelivered(format!("{} is not PEM", file.display()))),
        }
    }
    if certificates.is_empty() {
        return Err(Undelivered(format!("{} holds no certificate", file.display())));
    }
    Ok(RootCerts::from(certificates))
}

fn read(file: &Path) -> Result<Zeroizing<String>, Undelivered> {
    let refuse = |why: String| Undelivered(format!("{} cannot be read: {why}", file.display()));
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(|e| refuse(e.to_string()))?);
    if text.len() > FILE_MAX_BYTES {
        return Err(refuse("it is too long".into()));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_the_documentation_says() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        assert_eq!(
            signature(b"0123456789abcdef", 1_700_000_000, b"{}"),
            "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
        );
    }

    #[test]
    fn plain_http_is_for_loopback() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("url");
        for (text, usable) in [
            ("https://hooks.example/T0/B0\n", true),
            ("http://127.0.0.1:9/x", true),
            ("http://[::1]:9/x", true),
            ("http://hooks.example/", false),
            ("ftp://hooks.example/", false),
            ("", false),
            ("not a url", false),
        ] {
            std::fs::write(&file, text).unwrap();
            let checked = url(&file);
            assert_eq!(checked.is_ok(), usable, "{text}");
            if let Err(error) = checked {
                assert!(!error.to_string().contains("hooks.example"), "{error}");
            }
        }
    }
}
