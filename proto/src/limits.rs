//! All limits of the contract, in one place. They are checked at the door and documented in the proto.

/// Longest `customer_id`, `interaction_id`, model name and customer name, in bytes.
pub const ID_BYTES: usize = 256;
/// Longest `kind`, `channel`, property key and attribute name, in bytes.
pub const WORD_BYTES: usize = 64;
/// Longest property or attribute value, in bytes.
pub const VALUE_BYTES: usize = 1_024;
/// Most properties of an interaction.
pub const PROPERTIES: usize = 50;
/// Most attributes of a customer.
pub const ATTRIBUTES: usize = 200;
/// Greatest amount of money either way, in minor units.
pub const AMOUNT_MINOR: i64 = 1_000_000_000_000_000;
/// Most customers in one UpsertCustomers.
pub const CUSTOMERS: usize = 1_000;
/// Most interactions in one RecordInteractions.
pub const INTERACTIONS: usize = 10_000;
/// Most ids in one batch of scores.
pub const BATCH: usize = 10_000;
/// Items on a page when the caller does not say.
pub const PAGE: usize = 100;
/// Most items on a page.
pub const LONGEST_PAGE: usize = 1_000;
/// Most parts that the customers are divided into.
pub const PARTITIONS: i32 = 10_000;
/// Largest message either way, in bytes.
pub const MESSAGE_BYTES: usize = 4 << 20;
/// Most field violations in one error.
pub const VIOLATIONS: usize = 100;

/// Violations are added to an error up to so many bytes: it travels in a header, and clients limit
/// those to 8 KiB.
pub const VIOLATION_BYTES: usize = 3 << 10;

/// How far in the future a moment may lie, in microseconds: one day.
pub const FUTURE_MICROS: i64 = 86_400_000_000;
