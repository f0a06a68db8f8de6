//! Which scope each RPC takes: the table of the documentation, the contract, and what a server does are the same.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Code, Status};

use super::{Secured, client::Client, token_entry};
use crate::support::assert_refused;

const SCOPES: [&str; 4] = ["score", "read", "write", "admin"];

/// The scope of each RPC, by its path, as `docs/security.md` has it.
fn documented() -> BTreeMap<String, String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut scopes = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, service, scope, methods, _] = cells[..] else { continue };
        let Some(service) = service.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
            continue;
        };
        for method in methods.split('`').skip(1).step_by(2) {
            let path = format!("/{service}/{method}");
            assert!(scopes.insert(path.clone(), scope.replace('`', "")).is_none(), "{path} twice");
        }
    }
    scopes
}

fn rpcs() -> Vec<String> {
    let set = FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| file.service.iter().map(move |s| (file.package(), s)));
    services
        .flat_map(|(package, service)| {
            service.method.iter().map(move |m| format!("/{package}.{}/{}", service.name(), m.name()))
        })
        .collect()
}

/// How a call with this token ends, if it ends at once.
async fn refusal(client: &Client, path: &str, token: Option<&str>) -> Option<Status> {
    let value = token.map(|token| format!("Bearer {token}"));
    let called = client.call(path, value.as_deref().as_slice()).await;
    called.err().filter(|status| matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_takes_the_scope_that_is_documented() {
    let tokens: String = SCOPES.iter().map(|scope| token_entry(scope, scope, scope, "")).collect();
    let server = Secured::with_tokens(&tokens, &[]);
    let client = server.client().await;
    let documented = documented();
    for path in rpcs() {
        assert!(documented.contains_key(&path), "docs/security.md does not say which scope {path} takes");
    }
    assert!(documented.len() >= rpcs().len() + 4);
    for (path, needed) in &documented {
        for token in [None, Some("unknown"), Some("score.of.nobody")] {
            let code = refusal(&client, path, token).await.map(|status| status.code());
            let expected = Some(Code::Unauthenticated).filter(|_| needed != "open");
            assert_eq!(code, expected, "{path} with {token:?}");
        }
        for scope in SCOPES {
            let allowed = [scope, "any", "open"].contains(&needed.as_str());
            match refusal(&client, path, Some(scope)).await {
                None => assert!(allowed, "{path} with {scope}"),
                Some(status) => {
                    assert!(
                        !allowed && status.code() == Code::PermissionDenied,
                        "{path} with {scope}: {status:?}"
                    );
                    assert_eq!(
                        status.message(),
                        format!("{scope} may not do this; it takes the scope `{needed}`")
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_rpc_without_a_rule_is_refused_whoever_calls() {
    let server = Secured::with_tokens(&token_entry("all", "all", "score,read,write,admin", ""), &[]);
    let client = server.client().await;
    for path in
        ["/tally.v1.CustomerService/Unknown", "/tally.v1.Unknown/GetCustomer", "/", "/grpc.health.v1.Health"]
    {
        for token in [vec![], vec!["Bearer all"]] {
            let called = client.call(path, &token).await;
            assert_refused(called.map(drop), Code::Unimplemented, "UNKNOWN_METHOD", &[]);
        }
    }
}
