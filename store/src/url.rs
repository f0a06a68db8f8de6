//! Database URLs. They are parsed here and not by the driver, which repeats what it does not understand: a password
//! with an unencoded `/` or `?` would reach logs in pieces. No error of this module repeats any part of a URL but the
//! path of a SQLite file and the name of a parameter.

use std::{borrow::Cow, net::IpAddr, str::FromStr};

use percent_encoding::percent_decode_str;
use sqlx::{
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::SqliteConnectOptions,
};

use crate::error::{Result, StoreError};

const FORMS: &str = "allowed are sqlite://PATH and postgres://USER:PASSWORD@HOST:PORT/NAME";
const ENCODE: &str = "percent-encode the user name, the password and the name of the database: \
                      / as %2F, ? as %3F, # as %23, @ as %40, % as %25 and a space as %20";
/// The parameters of a PostgreSQL URL; `options[NAME]` is allowed, too.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    STATEMENTS,
    "user",
];
/// How many prepared statements a connection keeps; 0 for none.
const STATEMENTS: &str = "statement-cache-capacity";

/// A valid URL.
#[derive(Clone, Debug)]
pub(crate) enum DatabaseUrl {
    Sqlite(SqliteConnectOptions),
    Postgres {
        options: PgConnectOptions,
        /// Whether statements are prepared once for a connection, None when the URL does not say.
        keeps_statements: Option<bool>,
    },
}

impl FromStr for DatabaseUrl {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", rest)) => sqlite(rest.strip_prefix("//").unwrap_or(rest)),
            Some(("postgres" | "postgresql", rest)) => match rest.strip_prefix("//") {
                Some(rest) => postgres(url, rest),
                None => Err(refused(FORMS)),
            },
            _ => Err(refused(FORMS)),
        }
    }
}

/// Returns a URL without its password, for people to read; what is not a valid URL becomes its scheme alone.
#[must_use]
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|_| DatabaseUrl::from_str(url).is_ok()) else {
        return url.split(':').next().filter(|_| url.contains(':')).unwrap_or_default().to_owned();
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let shown = match rest.split_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => rest.to_owned(),
    };
    let parameters = query.split('&').filter(|pair| !pair.is_empty() && name_of(pair) != "password");
    let parameters: Vec<&str> = parameters.collect();
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!("{scheme}://{shown}{mark}{}", parameters.join("&"))
}

fn sqlite(rest: &str) -> Result<DatabaseUrl> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if path.is_empty() {
        return Err(refused("the path is missing: sqlite://PATH"));
    }
    // A URL of a server behind the wrong scheme: as a path it would be repeated in errors, with its password.
    if path.contains("://") {
        return Err(refused(FORMS));
    }
    if let Some(pair) = parameters.split('&').find(|pair| !pair.is_empty()) {
        let text =
            format!("sqlite://PATH has no parameters, such as `{}`; write a ? of PATH as %3F", name_of(pair));
        return Err(refused(&text));
    }
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{path}"));
    options.map(DatabaseUrl::Sqlite).map_err(|_| refused("the path is not valid UTF-8"))
}

/// `rest` is what follows the scheme of `url`.
fn postgres(url: &str, rest: &str) -> Result<DatabaseUrl> {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let tail = &rest[authority.len()..];
    // What is left of a password with an unencoded character: an @ that ends no user.
    let is_split = tail.contains('@') || authority.matches('@').count() > 1;
    if is_split || !is_encoded(rest) {
        return Err(refused(ENCODE));
    }
    let host = authority.split_once('@').map_or(authority, |(_, host)| host);
    let host = checked_host(host)?;
    let query = tail.split_once('?').map_or("", |(_, query)| query);
    let keeps_statements = checked_parameters(query)?;
    let options = PgConnectOptions::from_str(url).map_err(|_| refused(FORMS))?;
    let options = if host.contains(':') { options.host(host) } else { options };
    Ok(DatabaseUrl::Postgres { options, keeps_statements })
}

/// Whether a URL has no character that must be encoded, and every encoded text is UTF-8.
fn is_encoded(text: &str) -> bool {
    let is_byte = |part: &str| part.get(..2).is_some_and(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
    let is_plain = |c: char| c != '#' && !c.is_whitespace() && !c.is_control();
    let components = || text.split(['/', '?', '&', '=', '@', ':']);
    text.chars().all(is_plain)
        && text.split('%').skip(1).all(is_byte)
        && components().all(|component| percent_decode_str(component).decode_utf8().is_ok())
}

/// Checks `HOST` or `HOST:PORT`, of which either may be empty; returns the host, an IPv6 address without brackets.
fn checked_host(text: &str) -> Result<&str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(|| refused(FORMS))?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(host),
        Some(number) if number.is_empty() || is_port(number) => Ok(host),
        _ => Err(refused("the port is not a number from 1 to 65535; an IPv6 address stands in brackets")),
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Checks the parameters; returns whether they have statements kept, if they say so.
fn checked_parameters(query: &str) -> Result<Option<bool>> {
    let mut keeps_statements = None;
    let mut after_password = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let name = name_of(pair);
        let value = pair.split_once('=').map(|(_, value)| percent_decode_str(value).decode_utf8_lossy());
        let is_known = PARAMETERS.contains(&&*name) || name.starts_with("options[") && name.ends_with(']');
        match value {
            // What looks like a name may be the rest of a password.
            _ if !is_known && after_password => return Err(refused(ENCODE)),
            None if !is_known => return Err(refused("a parameter has the form NAME=VALUE")),
            Some(_) if !is_known => return Err(refused(&unknown(&name))),
            value if !is_valid(&name, value.as_deref().unwrap_or_default()) => {
                return Err(refused(&format!("the value of the parameter `{name}` is not valid")));
            }
            value if name == STATEMENTS => keeps_statements = value.map(|capacity| capacity != "0"),
            _ => after_password |= name == "password",
        }
    }
    Ok(keeps_statements)
}

fn name_of(pair: &str) -> Cow<'_, str> {
    percent_decode_str(pair.split('=').next().unwrap_or_default()).decode_utf8_lossy()
}

fn unknown(name: &str) -> String {
    format!("the parameter `{}` is not known; allowed are {}", name.escape_default(), PARAMETERS.join(", "))
}

fn is_valid(name: &str, value: &str) -> bool {
    match name {
        "sslmode" | "ssl-mode" => value.parse::<PgSslMode>().is_ok(),
        "port" => is_port(value),
        "hostaddr" => value.parse::<IpAddr>().is_ok(),
        STATEMENTS => value.parse::<u16>().is_ok(),
        _ => true,
    }
}

fn refused(why: &str) -> StoreError {
    StoreError::InvalidUrl(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        DatabaseUrl::from_str(url).unwrap_err().to_string()
    }

    fn postgres_options(url: &str) -> (PgConnectOptions, Option<bool>) {
        match DatabaseUrl::from_str(url).unwrap() {
            DatabaseUrl::Postgres { options, keeps_statements } => (options, keeps_statements),
            DatabaseUrl::Sqlite(_) => panic!("{url} is of SQLite"),
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_refused_without_a_piece_of_it() {
        for password in [
            "/c4n4ry",
            "a?c4n4ry",
            "a#c4n4ry",
            "c4n4ry@",
            "c4n4ry%",
            "%zzc4n4ry",
            "100%c4n4ry",
            "c4n4ry ",
            "/x?c4n4ry=",
            "x&c4n4ry?",
            "c4n4ry\t",
        ] {
            for url in [
                format!("postgres://u:{password}@h:1/d"),
                format!("postgres:///d?user=u&password={password}@"),
            ] {
                let message = refusal(&url);
                assert!(
                    message.contains("percent-encode") && !message.contains("c4n4ry"),
                    "{url}: {message}"
                );
            }
        }
        for url in [
            "postgres://u:c4n4ry",
            "postgres://u:1?c4n4ry",
            "postgres:///d?password=x&c4n4ry",
            "postgres:///d?password=x&c4n4ry=1",
            "postgres://u:p@h:c4n4ry/d",
            "postgres:c4n4ry",
            "c4n4ry",
            "postgress://u:c4n4ry@h/d",
        ] {
            assert!(!refusal(url).contains("c4n4ry"), "{url}: {}", refusal(url));
        }
    }

    #[test]
    fn an_encoded_password_and_everything_else_of_a_url_are_understood() {
        let (options, keeps) =
            postgres_options("postgresql://me:a%2Fb%3F%40%25:c@db.example:6432/d?sslmode=require");
        assert_eq!(
            (options.get_host(), options.get_port(), options.get_username()),
            ("db.example", 6432, "me")
        );
        assert_eq!((options.get_database(), keeps), (Some("d"), None));
        assert_eq!(postgres_options("postgres://[::1]:6432/d").0.get_host(), "::1");
        let socket = postgres_options("postgres://me@localhost/d?host=/run/pg&options[search_path]=s").0;
        assert_eq!(socket.get_socket().unwrap().to_str(), Some("/run/pg"));
        assert_eq!(postgres_options("postgres://h/d?statement-cache-capacity=0").1, Some(false));
        assert_eq!(postgres_options("postgres://h/d?statement-cache-capacity=9").1, Some(true));
    }

    #[test]
    fn parameters_that_are_not_known_or_not_valid_are_refused_by_name() {
        for (url, part) in [
            (
                "postgres://h/d?connect_timeout=5",
                "`connect_timeout` is not known; allowed are application_name",
            ),
            ("postgres://h/d?sslmode=always", "`sslmode` is not valid"),
            ("postgres://h/d?port=0", "`port` is not valid"),
            ("postgres://h:99999/d", "from 1 to 65535"),
            ("sqlite://tally.db?mode=rwc", "`mode`"),
            ("sqlite://", "the path is missing"),
            ("sqlite:postgres://u:secret@h/x", "allowed are sqlite://PATH"),
        ] {
            assert!(refusal(url).contains(part), "{url}: {}", refusal(url));
        }
    }

    #[test]
    fn a_sqlite_url_needs_no_slashes() {
        for (url, path) in [
            ("sqlite:tally.db", "tally.db"),
            ("sqlite://tally.db", "tally.db"),
            ("sqlite:///data/a%20b.db", "/data/a b.db"),
            ("sqlite:/data/tally.db", "/data/tally.db"),
        ] {
            match DatabaseUrl::from_str(url).unwrap() {
                DatabaseUrl::Sqlite(options) => assert_eq!(options.get_filename().to_str(), Some(path)),
                DatabaseUrl::Postgres { .. } => panic!("{url} is of PostgreSQL"),
            }
        }
    }

    #[test]
    fn a_url_for_people_has_no_password() {
        for (url, shown) in [
            ("postgres://me:c4n4ry@h:1/d?sslmode=require&password=x", "postgres://me@h:1/d?sslmode=require"),
            ("postgres://me@h/d", "postgres://me@h/d"),
            ("sqlite:///data/tally.db", "sqlite:///data/tally.db"),
            ("postgres://me:c4n@4ry@h/d", "postgres"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
