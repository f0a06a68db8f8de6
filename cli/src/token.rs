//! `tally token`: makes the tokens with which callers show a server who they are. The server knows their hashes only.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use serde_json::json;

use crate::{
    args::{NewTokenArgs, ScopeArg, TokenCommand},
    environment::system_clock,
    error::ClientError,
    output::{print, print_json_line, remark},
};

/// What every token begins with, so that scanners of source code and logs find those that leak.
const PREFIX: &str = "tally_";
/// The random bytes of a token.
const RANDOM_BYTES: usize = 32;

/// Runs a command about tokens.
pub(crate) fn run(command: &TokenCommand, json: bool) -> Result<(), ClientError> {
    let TokenCommand::New(args) = command;
    if args.expires.is_some_and(|expires| expires <= system_clock()) {
        return Err(ClientError::ExpiredToken);
    }
    let mut random = [0; RANDOM_BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| ClientError::NoRandomness)?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let sha256: String =
        digest(&SHA256, token.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    if json {
        let scopes: Vec<&str> = args.scopes.iter().map(|scope| scope.name()).collect();
        let expires = args.expires.map(|expires| expires.to_string());
        let line = json!({
            "token": token, "name": args.name, "sha256": sha256, "scopes": scopes, "expires": expires
        });
        return Ok(print_json_line(&line.to_string())?);
    }
    print(&format!("{token}\n\n{}", entry(args, &sha256)))?;
    remark(
        "the first line is the token, which is not shown again; the rest goes to the file of tally-serve --tokens",
    );
    Ok(())
}

/// The entry of the token file, which holds no secret.
fn entry(args: &NewTokenArgs, sha256: &str) -> String {
    let scopes: Vec<String> =
        args.scopes.iter().map(|scope: &ScopeArg| format!("\"{}\"", scope.name())).collect();
    let expires = args.expires.map_or_else(String::new, |expires| format!("\nexpires = {expires}"));
    let NewTokenArgs { name, .. } = args;
    format!("[[token]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nscopes = [{}]{expires}", scopes.join(", "))
}
