//! Which files may name a library, so that everything it is used for is in one place.

use crate::{
    assert_none,
    source::{Source, crates},
};

/// Libraries and the files that may name them.
struct Named {
    /// As Rust code names them.
    libraries: &'static [&'static str],
    /// Prefixes of the paths of those files.
    by: &'static [&'static str],
    reason: &'static str,
}

const NAMED: &[Named] = &[
    Named {
        libraries: &["tonic", "tonic_health", "tonic_prost", "tonic_reflection", "tonic_types"],
        by: &["proto/src/", "cli/src/", "service/src/grpc/"],
        reason: "use cases must be callable without gRPC; grpc/ alone turns their errors into a Status",
    },
    Named {
        libraries: &["axum"],
        by: &["service/src/http", "service/src/console"],
        reason: "plain HTTP is served in http and console only",
    },
    Named {
        libraries: &["hyper", "hyper_util"],
        by: &["service/src/http", "service/src/grpc/http2.rs", "service/src/insight/alerts/webhook.rs"],
        reason: "HTTP is spoken where it is served, and where webhooks are sent",
    },
    Named {
        libraries: &["hyper_rustls"],
        by: &["service/src/insight/alerts/webhook.rs"],
        reason: "only webhooks call other servers; what is sent, and whether, is decided without knowing how",
    },
    Named {
        libraries: &["ring", "rustls", "tokio_rustls", "webpki"],
        by: &["service/src/security/", "service/src/insight/alerts/webhook.rs", "cli/src/token.rs"],
        reason: "what is encrypted or signed can be reviewed in one place",
    },
    Named {
        libraries: &["sqlx"],
        by: &["store/src/"],
        reason: "SQL and its errors stay behind the store's traits",
    },
    Named {
        libraries: &["linfa", "linfa_logistic"],
        by: &["model/src/training/"],
        reason: "only training fits; a stored model is scored without the library that fitted it",
    },
];

#[test]
fn libraries_are_named_only_where_they_belong() {
    let mut violations = Vec::new();
    for source in crates().iter().flat_map(|krate| &krate.sources) {
        violations.extend(NAMED.iter().flat_map(|named| refused(source, named)));
    }
    assert_none(&violations);
}

fn refused(source: &Source, named: &Named) -> Vec<String> {
    if named.by.iter().any(|prefix| source.path.starts_with(prefix)) {
        return Vec::new();
    }
    let found = named.libraries.iter().filter(|library| source.names_library(library));
    found.map(|library| format!("{} must not name {library}: {}", source.path, named.reason)).collect()
}
