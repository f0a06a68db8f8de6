//! `tally audit verify`: computes the hashes of the log again.

use prost_types::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use tally_proto::{
    limits,
    v1::{AuditEvent, ListAuditEventsRequest},
};

use crate::{
    args::AuditHash,
    connection::Connection,
    error::ClientError,
    output::{self, counted},
};

/// The events as far as they have been read.
struct Chain {
    sequence: i64,
    hash: Vec<u8>,
    /// The hash that was noted elsewhere, and whether an event has it.
    noted: Option<Vec<u8>>,
    found: bool,
}

/// Reads the whole log and checks that each event follows from the one before, that the last one is the end that the
/// server knows, and that the hash that was noted elsewhere is among them.
pub(super) async fn verify(
    server: &Connection,
    noted: Option<&AuditHash>,
    json: bool,
) -> Result<(), ClientError> {
    let mut request = ListAuditEventsRequest {
        oldest_first: true,
        page_size: limits::LONGEST_PAGE as i32,
        ..ListAuditEventsRequest::default()
    };
    let mut chain = Chain::new(noted.map(|noted| noted.0.clone()));
    let mut client = server.deployment();
    let end = loop {
        let page = client.list_audit_events(request.clone()).await;
        let page = page.map_err(|status| server.error(&status))?.into_inner();
        page.events.iter().try_for_each(|event| chain.add(event))?;
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break (page.head_sequence, page.head_hash);
        }
    };
    chain.check_end(&end)?;
    let (events, head) = (counted(chain.sequence, "event", "events"), hex(&chain.hash));
    let line = json!({ "events": chain.sequence, "head_hash": head });
    if json {
        return Ok(output::print_json_line(&line.to_string())?);
    }
    Ok(output::print(&format!(
        "the audit log is whole: {events}\nhead {head}\nKeep the head elsewhere: `tally audit verify --head {head}` \
         finds out later whether events up to this one are missing."
    ))?)
}

impl Chain {
    const fn new(noted: Option<Vec<u8>>) -> Self {
        Self { sequence: 0, hash: Vec::new(), noted, found: false }
    }

    fn broken(sequence: i64, why: &'static str) -> ClientError {
        ClientError::BrokenAudit { sequence, why }
    }

    fn add(&mut self, event: &AuditEvent) -> Result<(), ClientError> {
        if self.sequence == 0 {
            self.hash = vec![0; 32];
        }
        self.sequence += 1;
        if event.sequence != self.sequence {
            return Err(Self::broken(self.sequence, "it is missing"));
        }
        let expected = hash(&self.hash, event);
        if event.hash != expected {
            return Err(Self::broken(
                self.sequence,
                "its hash is not the one of its content and the event before",
            ));
        }
        self.found |= self.noted.as_ref() == Some(&expected);
        self.hash = expected;
        Ok(())
    }

    /// Events may have been appended since the end was read.
    fn check_end(&self, (sequence, hash): &(i64, Vec<u8>)) -> Result<(), ClientError> {
        if self.sequence < *sequence {
            return Err(Self::broken(self.sequence + 1, "it is missing, and so are all that followed"));
        }
        if self.sequence == *sequence && self.sequence > 0 && self.hash != *hash {
            return Err(Self::broken(
                self.sequence,
                "its hash is not the one that the server keeps of the end",
            ));
        }
        match &self.noted {
            Some(_) if !self.found => Err(Self::broken(
                self.sequence + 1,
                "no event has the hash of --head, so events are missing, or the log was rewritten",
            )),
            _ => Ok(()),
        }
    }
}

/// The hash of an event, as the contract defines it.
fn hash(previous: &[u8], event: &AuditEvent) -> Vec<u8> {
    let micros = |time: &Timestamp| time.seconds * 1_000_000 + i64::from(time.nanos / 1_000);
    let time = event.event_time.as_ref().map_or(0, micros);
    let mut hash = Sha256::new().chain_update(previous);
    for number in [event.sequence, time, event.count] {
        hash.update(number.to_be_bytes());
    }
    for bytes in [
        event.caller.as_bytes(),
        event.request_id.as_bytes(),
        event.action.as_bytes(),
        event.subject.as_bytes(),
        &event.customer_hash,
        event.outcome.as_bytes(),
    ] {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
