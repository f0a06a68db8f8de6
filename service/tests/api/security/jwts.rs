//! JWTs, put together by hand: what an identity provider may sign, and what nobody may forge.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};
use sha2::Sha256;
use tally_service::platform::clock::system_clock;
use tonic::Code;

use super::{Folder, Secured, client::GET, pki::Authority, token_entry};
use crate::support::{assert_refused, eventually};

/// The RSA key of RFC 7515, A.2.1: n, e, d, p, q, dp, dq, qi.
const RSA: [&str; 8] = [
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "AQAB",
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
    "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
    "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
    "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
    "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
];

/// An identity provider with a key of each kind.
struct Provider {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Provider {
    fn new() -> Self {
        let random = SystemRandom::new();
        let [n, e, d, p, q, dp, dq, qi] = RSA.map(|part| BASE64.decode(part).unwrap());
        let public_key = rsa::PublicKeyComponents { n, e };
        let parts = rsa::KeyPairComponents { public_key, d, p, q, dP: dp, dQ: dq, qInv: qi };
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_components(&parts).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
        }
    }

    fn key(&self, id: &str) -> Value {
        match id {
            "rsa" => json!({"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": RSA[0], "e": RSA[1]}),
            "ec" => {
                let point = self.ec.public_key().as_ref();
                let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64.encode(half));
                json!({"kty": "EC", "kid": id, "crv": "P-256", "x": x, "y": y})
            }
            _ => json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": BASE64.encode(self.ed.public_key())}),
        }
    }

    fn sign(&self, id: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match id {
            "rsa" => {
                let mut signature = vec![0; 256];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                signature
            }
            "ec" => self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            _ => self.ed.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and these claims, signed by the key of this id.
    fn token(&self, id: &str, header: &Value, claims: &Value) -> String {
        let signed = signed_part(header, claims);
        format!("{signed}.{}", BASE64.encode(self.sign(id, signed.as_bytes())))
    }
}

fn signed_part(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Seconds since 1970, so many from now.
fn seconds(from_now: i64) -> i64 {
    system_clock().0 / 1_000_000 + from_now
}

/// Good claims, with some replaced; null removes one.
fn claims(replaced: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example.com", "aud": "tally", "sub": "ada", "exp": seconds(600), "scope": "openid read"
    });
    for (name, value) in replaced.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn start(jwks: &str, arguments: &[&str]) -> Secured {
    let folder = Folder::new();
    let path = folder.write("jwks.json", jwks);
    let jwt = ["--jwks", &path, "--jwt-issuer", "https://id.example.com", "--jwt-audience", "tally"];
    Secured::start(folder, Authority::new("tests"), &[&jwt, arguments].concat(), false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_the_provider_are_taken_and_forged_ones_are_not() {
    let provider = Provider::new();
    let server = start(&set(&["rsa", "ec", "ed"].map(|id| provider.key(id))), &[]);
    let client = server.client().await;
    let header = |algorithm: &str, id: &str| json!({"alg": algorithm, "kid": id, "typ": "JWT"});
    let ec = |replaced: Value| provider.token("ec", &header("ES256", "ec"), &claims(&replaced));
    for (algorithm, id) in [("RS256", "rsa"), ("ES256", "ec"), ("EdDSA", "ed")] {
        client.get(&provider.token(id, &header(algorithm, id), &claims(&json!({})))).await.unwrap();
    }
    for replaced in [
        json!({"aud": ["other", "tally"]}),
        json!({"exp": seconds(-50)}),
        json!({"exp": seconds(600) as f64 + 0.5}),
        json!({"nbf": seconds(50)}),
        json!({"scope": null, "scp": ["read", "write"]}),
        json!({"scope": null, "scp": "write read"}),
    ] {
        client.get(&ec(replaced.clone())).await.unwrap_or_else(|status| panic!("{replaced}: {status}"));
    }
    let signed = signed_part(&header("HS256", "rsa"), &claims(&json!({})));
    let mac = |key: &[u8]| {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", BASE64.encode(mac))
    };
    let good = ec(json!({}));
    let (parts, signature) = good.rsplit_once('.').unwrap();
    let (first, _) = parts.split_once('.').unwrap();
    let admin = BASE64.encode(claims(&json!({"scope": "admin read"})).to_string());
    let none = |algorithm: &str| format!("{}.", signed_part(&header(algorithm, "ec"), &claims(&json!({}))));
    let mut crit = header("ES256", "ec");
    crit["crit"] = json!(["b64"]);
    let forged = [
        none("none"),
        none("None"),
        none("ES256"),
        mac(RSA[0].as_bytes()),
        mac(&BASE64.decode(RSA[0]).unwrap()),
        provider.token("ec", &header("RS256", "rsa"), &claims(&json!({}))),
        provider.token("ec", &header("RS256", "ec"), &claims(&json!({}))),
        provider.token("rsa", &header("RS512", "rsa"), &claims(&json!({}))),
        provider.token("ec", &header("ES256", "unknown"), &claims(&json!({}))),
        provider.token("ec", &json!({"alg": "ES256"}), &claims(&json!({}))),
        provider.token("ec", &crit, &claims(&json!({}))),
        format!("{first}.{admin}.{signature}"),
        format!("{parts}.{signature}A"),
        format!("{parts}.{signature}="),
        format!("{good}.x"),
        parts.to_owned(),
        "..".to_owned(),
        ec(json!({"aud": "other"})),
        ec(json!({"aud": ["other"]})),
        ec(json!({"aud": null})),
        ec(json!({"iss": "https://id.example.com/"})),
        ec(json!({"iss": null})),
        ec(json!({"sub": null})),
        ec(json!({"sub": ""})),
        ec(json!({"exp": null})),
        ec(json!({"exp": seconds(600).to_string()})),
        ec(json!({"nbf": "now"})),
        ec(json!({"nbf": seconds(90)})),
    ];
    for token in forged {
        let called = client.call(GET, &[&format!("Bearer {token}")]).await;
        assert_refused(called.map(drop), Code::Unauthenticated, "INVALID_CREDENTIALS", &[]);
    }
    let expired = client.get(&ec(json!({"exp": seconds(-70)}))).await;
    assert_refused(expired, Code::Unauthenticated, "EXPIRED_CREDENTIALS", &[]);
    for scope in [json!(null), json!(""), json!("openid write Read readers")] {
        let called = client.get(&ec(json!({ "scope": scope }))).await;
        assert_refused(called, Code::PermissionDenied, "MISSING_SCOPE", &[]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_while_it_serves_and_the_last_good_ones_count() {
    let (old, new) = (Provider::new(), Provider::new());
    let with_id = |provider: &Provider, id: &str| {
        let mut key = provider.key("ec");
        key["kid"] = json!(id);
        key
    };
    let server = start(&set(&[with_id(&old, "1")]), &[]);
    let client = server.client().await;
    let token = |provider: &Provider, id: &str| {
        provider.token("ec", &json!({"alg": "ES256", "kid": id}), &claims(&json!({})))
    };
    // The only key needs no id.
    client.get(&old.token("ec", &json!({"alg": "ES256"}), &claims(&json!({})))).await.unwrap();
    server.folder.write("jwks.json", set(&[with_id(&old, "1"), with_id(&new, "2")]));
    eventually(async || {
        client.get(&token(&old, "1")).await.unwrap();
        client.get(&token(&new, "2")).await.is_ok()
    })
    .await;
    for bad in ["", "{\"keys\": []}", "no JSON"] {
        server.folder.write("jwks.json", bad);
        for _ in 0..20 {
            client.get(&token(&old, "1")).await.unwrap();
        }
    }
    // A key that is withdrawn ends tokens that were verified before, too.
    let remembered = token(&old, "1");
    client.get(&remembered).await.unwrap();
    server.folder.write("jwks.json", set(&[with_id(&new, "2")]));
    eventually(async || client.get(&remembered).await.is_err()).await;
    client.get(&token(&new, "2")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_both_kinds_are_taken_side_by_side() {
    let provider = Provider::new();
    let folder = Folder::new();
    let tokens = folder.write("tokens.toml", token_entry("crm", "tally_t", "read", ""));
    let server = start(&set(&[provider.key("ed")]), &["--tokens", &tokens]);
    let client = server.client().await;
    client.get("tally_t").await.unwrap();
    client.get(&provider.token("ed", &json!({"alg": "EdDSA"}), &claims(&json!({})))).await.unwrap();
    assert!(client.get("tally_u").await.is_err());
}
