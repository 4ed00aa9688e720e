//! What stands in the environment instead of in the URL, as for PostgreSQL's own programs.

use std::path::{Path, PathBuf};

use postgres::config::Host;
use zeroize::Zeroizing;

/// What a URL may leave out.
#[derive(Clone, Default)]
pub struct Environment {
    /// The password.
    pub password: Option<Zeroizing<String>>,
    /// The file of passwords, such as `~/.pgpass`.
    pub password_file: Option<PathBuf>,
    /// How the connection is encrypted, as `sslmode`.
    pub ssl_mode: Option<String>,
    /// Who may vouch for the server, as `sslrootcert`.
    pub ssl_root_cert: Option<String>,
    /// The certificate that is shown to the server, as `sslcert`.
    pub ssl_cert: Option<String>,
    /// Its key, as `sslkey`.
    pub ssl_key: Option<String>,
    /// The file of authorities where none is named, such as `~/.postgresql/root.crt`; it need not
    /// be there.
    pub root_file: Option<PathBuf>,
}

impl Environment {
    /// As `psql` has it: `PGPASSWORD`, then the file that `PGPASSFILE` names, else `~/.pgpass`;
    /// and `PGSSLMODE`, `PGSSLROOTCERT`, `PGSSLCERT`, `PGSSLKEY`.
    pub fn read() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let at_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let word = |name: &str| std::env::var(name).ok().filter(|word| !word.is_empty());
        Self {
            password: word("PGPASSWORD").map(Zeroizing::new),
            password_file: std::env::var_os("PGPASSFILE")
                .map(PathBuf::from)
                .or_else(|| at_home(".pgpass")),
            ssl_mode: word("PGSSLMODE"),
            ssl_root_cert: word("PGSSLROOTCERT"),
            ssl_cert: word("PGSSLCERT"),
            ssl_key: word("PGSSLKEY"),
            root_file: at_home(".postgresql/root.crt"),
        }
    }

    /// The file of authorities where none is named.
    pub(crate) fn root_file(&self) -> Option<&Path> {
        self.root_file.as_deref().filter(|path| path.exists())
    }

    /// Gives a configuration its password if it has none.
    pub(crate) fn log_in(&self, config: &mut postgres::Config) {
        if config.get_password().is_some() {
            return;
        }
        if let Some(password) = &self.password {
            config.password(password.as_bytes());
            return;
        }
        let text = self.password_file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let Some(text) = text.map(Zeroizing::new) else { return };
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            _ => "localhost".to_owned(),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
        let user = config.get_user().unwrap_or_default().to_owned();
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        if let Some(password) = password_of(&text, [&host, &port, &database, &user]) {
            config.password(password.as_bytes());
        }
    }
}

/// The password of the first line whose fields fit; `*` fits all.
fn password_of(text: &str, wanted: [&str; 4]) -> Option<Zeroizing<String>> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let fits = wanted
            .iter()
            .all(|wanted| fields.next().is_some_and(|field| *field == "*" || *field == *wanted));
        fields.next().filter(|_| fits)
    })
}

/// Fields between colons; a backslash keeps the next letter.
fn fields(line: &str) -> impl Iterator<Item = Zeroizing<String>> + '_ {
    let mut letters = line.chars();
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let mut field = Zeroizing::new(String::new());
        loop {
            match letters.next() {
                Some('\\') => field.extend(letters.next()),
                Some(':') => return Some(field),
                Some(letter) => field.push(letter),
                None => {
                    is_over = true;
                    return Some(field);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# a\nother:5432:shop:web:no\n*:5432:shop:web:a\\:b\\\\c\n*:*:*:*:last\n";
        let of = |wanted| password_of(text, wanted).map(|one| one.as_str().to_owned());
        assert_eq!(of(["localhost", "5432", "shop", "web"]).as_deref(), Some("a:b\\c"));
        assert_eq!(of(["localhost", "5433", "shop", "web"]).as_deref(), Some("last"));
    }
}
