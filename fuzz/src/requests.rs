//! Requests.

use prost_reflect::{DynamicMessage, MethodDescriptor};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::Server;

/// Calls a method with a message. The first line names the method, such as `CustomerService/GetCustomer`, and any other
/// first line stands for one as well; the rest is the message. The answer says whose fault it is, in the terms of the
/// contract, and all that comes back can be read. Returns the code of the answer.
pub fn requests(server: &Server, data: &[u8]) -> Code {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (name, message) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let method = method(server.methods(), name);
    let is_message = DynamicMessage::decode(method.input(), message).is_ok();
    let (replies, status) = server.call(method, message);
    for reply in replies {
        DynamicMessage::decode(method.output(), reply).expect("a reply is a message");
    }
    match status {
        Ok(()) => {
            assert!(is_message, "{}: bytes that are no message are accepted", method.full_name());
            Code::Ok
        }
        Err(status) => {
            check(method, &status, is_message);
            status.code()
        }
    }
}

fn check(method: &MethodDescriptor, status: &Status, is_message: bool) {
    let name = method.full_name();
    let is_expected = matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::AlreadyExists
            | Code::Aborted
            | Code::ResourceExhausted
    );
    assert!(is_expected, "{name}: {status:?}");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("{name}: no reason: {status:?}"));
    assert_eq!(info.domain, "tally.v1", "{name}: {status:?}");
    assert!(!info.reason.is_empty() && !status.message().is_empty(), "{name}: {status:?}");
    if status.code() == Code::InvalidArgument {
        let field = info.metadata.get("field").map(String::as_str).unwrap_or_default();
        assert!(!field.is_empty(), "{name}: no field: {status:?}");
    }
    assert!(is_message || status.code() == Code::InvalidArgument, "{name}: no message: {status:?}");
}

/// The method of a name; of any other text the one that its bytes add up to.
fn method<'a>(methods: &'a [MethodDescriptor], name: &[u8]) -> &'a MethodDescriptor {
    let sum: usize = name.iter().map(|byte| usize::from(*byte)).sum();
    let named = methods.iter().find(|method| method_name(method).as_bytes() == name);
    named.unwrap_or(&methods[sum % methods.len()])
}

/// The name of a method with that of its service.
#[must_use]
pub fn method_name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}
