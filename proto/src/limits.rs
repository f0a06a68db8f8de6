//! All limits of the contract. The service checks them before it does anything else; the proto files document them.

/// Longest `customer_id`, `interaction_id`, model name and customer name, in characters.
pub const ID_CHARS: usize = 256;
/// Longest `kind`, `channel`, property key and attribute name, in characters.
pub const WORD_CHARS: usize = 64;
/// Longest property or attribute value, in characters.
pub const VALUE_CHARS: usize = 1_024;
/// Longest `customer_id`, `interaction_id` and `kind` of one interaction together, in bytes of UTF-8: they share an
/// entry of an index, which holds 2,700 bytes.
pub const KEY_BYTES: usize = 2_100;
/// Maximum number of properties per interaction.
pub const PROPERTIES: usize = 50;
/// Maximum number of attributes per customer.
pub const ATTRIBUTES: usize = 200;
/// Largest amount of money, positive or negative, in minor units.
pub const AMOUNT_MINOR: i64 = 1_000_000_000_000_000;
/// Largest number of decimals of a currency.
pub const AMOUNT_DECIMALS: u8 = 4;
/// Maximum number of customers in one UpsertCustomers.
pub const CUSTOMERS: usize = 1_000;
/// Maximum number of interactions in one RecordInteractions.
pub const INTERACTIONS: usize = 10_000;
/// Maximum number of ids in one batch of scores.
pub const BATCH: usize = 10_000;
/// Default number of items on a page.
pub const PAGE: usize = 100;
/// Maximum number of items on a page.
pub const LONGEST_PAGE: usize = 1_000;
/// Maximum number of partitions of the customers.
pub const PARTITIONS: i32 = 10_000;
/// Maximum number of rows of a report.
pub const REPORT_ROWS: usize = 20_000;
/// Maximum number of values that have rows of their own in a sales report.
pub const REPORT_VALUES: i32 = 1_000;
/// Longest time for which a purchase counts for a campaign, in days.
pub const CAMPAIGN_DAYS: i32 = 3_650;
/// Maximum number of steps of 30 days of a forecast.
pub const FORECAST_STEPS: i32 = 36;
/// Largest request or response message, in bytes.
pub const MESSAGE_BYTES: usize = 4 << 20;
/// Largest metadata of a call, in bytes: the names and values of its headers, and 32 for each.
pub const METADATA_BYTES: usize = 16 << 10;
/// Maximum number of field violations in one error.
pub const VIOLATIONS: usize = 100;

/// Maximum total size of the field violations in one error, in bytes: errors travel in a header, and clients limit
/// headers to 8 KiB.
pub const VIOLATION_BYTES: usize = 3 << 10;

/// How far in the future a time may be, in microseconds: one day.
pub const FUTURE_MICROS: i64 = 86_400_000_000;
/// Values of a property that can have affinities, the commonest ones.
pub const AFFINITY_VALUES: usize = 1_000;
/// Affinities that are listed, the strongest ones.
pub const AFFINITIES: usize = 50_000;
/// Values that are suggested to a customer.
pub const NEXT_TO_BUY: usize = 5;
