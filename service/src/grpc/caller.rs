//! Who calls: by its credentials, if callers are checked; what it says itself, which nobody checks; and its address.

use std::sync::Arc;

use http::Extensions;
use tonic::Request;

use super::{connection::ConnectionInfo, middleware::RequestId};
use crate::{platform::actor::Actor, security::Caller};

/// The actor of a call. `requested_by` is what the caller says of itself; it may be empty.
pub(super) fn actor<T>(request: &Request<T>, requested_by: &str) -> Actor {
    actor_of(request.extensions(), requested_by)
}

/// The actor of the call with these extensions.
pub(super) fn actor_of(extensions: &Extensions, requested_by: &str) -> Actor {
    let caller = caller(extensions);
    let said = Some(requested_by).filter(|said| !said.is_empty()).map(|said| format!("{said} (unchecked)"));
    let who: Vec<String> = caller.into_iter().chain(said).collect();
    let name = match (who.is_empty(), address(extensions)) {
        (false, Some(address)) => format!("{} from {address}", who.join(" as ")),
        (true, Some(address)) => address,
        (_, None) => who.join(" as "),
    };
    let request_id = extensions.get::<RequestId>().map(ToString::to_string);
    Actor { name, request_id: request_id.unwrap_or_default() }
}

/// Who acts, to be shown to others: the caller, if callers are checked, with what it says of itself where that is
/// another name; or else `said` alone, which nobody checks.
pub(super) fn person(extensions: &Extensions, said: &str) -> String {
    match caller(extensions) {
        None => said.to_owned(),
        Some(caller) if said.is_empty() || said == caller => caller,
        Some(caller) => format!("{caller} as {said} (unchecked)"),
    }
}

/// Whether callers are checked, so that one is known without what it says of itself.
pub(super) fn is_known(extensions: &Extensions) -> bool {
    extensions.get::<Arc<Caller>>().is_some()
}

/// A short name for counts: the caller, or else its address.
pub(super) fn caller_name(extensions: &Extensions) -> String {
    caller(extensions).or_else(|| address(extensions)).unwrap_or_default()
}

fn caller(extensions: &Extensions) -> Option<String> {
    extensions.get::<Arc<Caller>>().map(|caller| caller.name.clone())
}

fn address(extensions: &Extensions) -> Option<String> {
    let connection = extensions.get::<ConnectionInfo>()?;
    connection.address.map(|address| address.ip().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{Scope, Scopes};

    #[test]
    fn the_actor_is_the_caller_as_far_as_it_is_known() {
        let scopes = Scopes::from_iter([Scope::Admin]);
        let caller = || Arc::new(Caller { name: "ops".to_owned(), scopes, expires: None });
        let connection = || ConnectionInfo {
            address: "10.0.0.7:1".parse().ok(),
            certificate: None,
            is_trusted: Arc::default(),
        };
        for (is_checked, said, is_remote, name) in [
            (true, "ada@laptop", true, "ops as ada@laptop (unchecked) from 10.0.0.7"),
            (true, "", true, "ops from 10.0.0.7"),
            (true, "", false, "ops"),
            (false, "ada@laptop", true, "ada@laptop (unchecked) from 10.0.0.7"),
            (false, "", true, "10.0.0.7"),
            (false, "", false, ""),
        ] {
            let mut request = Request::new(());
            if is_checked {
                request.extensions_mut().insert(caller());
            }
            if is_remote {
                request.extensions_mut().insert(connection());
            }
            assert_eq!(actor(&request, said).name, name);
        }
    }

    #[test]
    fn a_person_is_the_caller_whatever_it_says() {
        let mut checked = Extensions::new();
        let scopes = Scopes::from_iter([Scope::Write]);
        checked.insert(Arc::new(Caller { name: "ops".to_owned(), scopes, expires: None }));
        let unchecked = Extensions::new();
        assert!(is_known(&checked) && !is_known(&unchecked));
        let persons = ["", "ops", "eve"].map(|said| person(&checked, said));
        assert_eq!(persons, ["ops", "ops", "ops as eve (unchecked)"]);
        assert_eq!(person(&unchecked, "eve"), "eve");
    }
}
