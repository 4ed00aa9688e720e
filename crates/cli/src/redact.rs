//! URLs that may carry credentials, and the removal of credentials from text that people see.

use std::fmt;

use zeroize::Zeroize as _;

/// A URL that may carry a password or be a secret as a whole, as webhook addresses are. It shows
/// its scheme and host only.
#[derive(Clone)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Takes a URL as it stands in the configuration.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The whole URL, for the one who connects to it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretUrl {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("…");
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "{scheme}://{host}")?;
        if authority.len() == rest.len() { Ok(()) } else { f.write_str("/…") }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

/// Takes user names and passwords out of the URLs in a text.
pub fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '`'))
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str("…@");
                clean.push_str(host);
            }
            None => clean.push_str(authority),
        }
        rest = tail;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_url_shows_scheme_and_host_only() {
        let shown = |url: &str| SecretUrl::new(url.to_owned()).to_string();
        assert_eq!(shown("https://hooks.example/T0/B0/secret"), "https://hooks.example/…");
        assert_eq!(shown("postgres://me:pass@db:5432/x"), "postgres://db:5432/…");
        assert_eq!(shown("https://hooks.example"), "https://hooks.example");
        assert_eq!(shown("secret"), "…");
        assert_eq!(
            format!("{:?}", SecretUrl::new("https://a:b@c/d".into())),
            "SecretUrl(https://c/…)"
        );
    }

    #[test]
    fn credentials_leave_a_text_and_the_rest_stays() {
        assert_eq!(
            without_credentials("`postgres://me:p@ss@db/x` and https://host/a@b"),
            "`postgres://…@db/x` and https://host/a@b"
        );
        assert_eq!(without_credentials("nothing here"), "nothing here");
    }
}
