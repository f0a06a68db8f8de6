//! What the tests of several pages need.

use prost_types::Timestamp;
use tally_proto::v1::GetDeploymentResponse;

use crate::{output::Currency, time};

/// A name as long as the contract allows, of wide characters.
pub(crate) fn long_name() -> String {
    "王小明".repeat(85)
}

/// The euro.
pub(crate) fn euro() -> Currency {
    let currency = "EUR".to_owned();
    Currency::of(&GetDeploymentResponse { currency, amount_decimals: Some(2), ..Default::default() })
}

/// A time as a message has it.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    Some(time::timestamp(time::parse(text).unwrap()))
}

/// Fails when a line of a page takes more than 100 columns.
pub(crate) fn assert_fits(page: &str) {
    let too_long: Vec<&str> = page.lines().filter(|line| tally_terminal::width(line) > 100).collect();
    assert_eq!(too_long, [""; 0], "{page}");
}
