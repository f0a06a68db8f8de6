//! The arguments of `tally import`.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use encoding_rs::Encoding;
use jiff::tz::TimeZone;

use super::names::OnConflictArg;
use crate::time::{TimeFormat, time_format, time_zone};

const AFTER_HELP: &str = "\
customers.csv:     customer_id, create_time (or created_at), any attributes. The column `name` is only for
                   people to read. A column becomes a number if 95 % of its values are numbers (007 is not
                   one), a boolean if all are true or false, and a text otherwise; what does not fit counts
                   as missing. An empty field means that the customer does not have the attribute. A row
                   replaces all attributes stored for the customer; of several rows the last one counts.
interactions.csv:  interaction_id, customer_id, kind, occur_time (or occurred_at), and optionally amount
                   (decimal money such as 12.50, empty for none), channel and any properties; models learn
                   from properties that are numbers, such as units or minutes.
Files are CSV or .xlsx, plain or compressed by gzip or zstd; `-` is standard input. The order of the columns
is free. Blanks around values do not count; NULL, NaN, N/A and the like are no ids, and missing where numbers
are expected. Both files are read to the end and checked before anything is stored. What would probably be
stored otherwise than it is meant stops the import with exit code 2, or is asked about on a terminal.
Mappings:          fxiaoke-customers, fxiaoke-orders, hubspot-contacts, hubspot-deals, salesforce-leads,
                   salesforce-opportunities, segment (JSON lines), shopify-orders, stripe-charges,
                   zoho-crm-contacts, zoho-crm-deals; docs/mappings.md describes mapping files.";

/// What to import.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("files").required(true).multiple(true), after_help = AFTER_HELP)]
pub struct ImportArgs {
    /// Export of another product, read by --map
    #[arg(value_name = "FILE", requires = "map", conflicts_with_all = ["customers", "interactions"], group = "files")]
    pub file: Option<PathBuf>,
    /// How the columns of an export become customers and interactions: a shipped mapping such as shopify-orders, or a
    /// mapping file
    #[arg(long, value_name = "MAPPING")]
    pub map: Option<String>,
    /// File of customers
    #[arg(long, value_name = "FILE", group = "files")]
    pub customers: Option<PathBuf>,
    /// File of interactions
    #[arg(long, value_name = "FILE", group = "files")]
    pub interactions: Option<PathBuf>,
    /// History from another system: treat each interaction as known since it happened, and each attribute since the
    /// customer exists
    #[arg(long)]
    pub backfill: bool,
    /// What to do with an interaction whose ids are stored with different content
    #[arg(long, value_enum, value_name = "ACTION", default_value = "fail")]
    pub on_conflict: OnConflictArg,
    /// Bring customers back that were erased; otherwise their rows are left out and counted
    #[arg(long)]
    pub recreate_erased: bool,
    /// Only check the files, and store nothing
    #[arg(long)]
    pub check: bool,
    /// Import although the checks have doubts
    #[arg(long)]
    pub yes: bool,
    /// Leave bad rows out, and write them to this CSV file with the reason of each
    #[arg(long, value_name = "FILE")]
    pub skip_bad: Option<PathBuf>,
    /// Leave a column out; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub ignore: Vec<String>,
    /// Time zone of times without an offset from UTC, such as Europe/Berlin or +08:00
    #[arg(long, value_name = "ZONE", value_parser = time_zone)]
    pub time_zone: Option<TimeZone>,
    /// How times are written that are not as usual: a pattern such as '%d.%m.%Y %H:%M', unix or unix-ms
    #[arg(long, value_name = "FORMAT", value_parser = time_format)]
    pub time_format: Option<TimeFormat>,
    /// Numbers and money have a comma before the decimals
    #[arg(long)]
    pub decimal_comma: bool,
    /// Encoding of a file that is not UTF-8, such as gb18030 or windows-1252 [default: guessed]
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub encoding: Option<&'static Encoding>,
    /// What separates columns: a character or `tab` [default: as in the first line]
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// Sheet of an .xlsx workbook [default: the first]
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
}

impl ImportArgs {
    /// Whether a file is standard input.
    #[must_use]
    pub fn reads_stdin(&self) -> bool {
        [&self.file, &self.customers, &self.interactions]
            .iter()
            .any(|file| file.as_deref() == Some(Path::new("-")))
    }
}

fn encoding(name: &str) -> Result<&'static Encoding, String> {
    let found = Encoding::for_label(name.as_bytes());
    found.ok_or_else(|| {
        "give a name such as utf-8, utf-16le, gb18030, big5, shift_jis or windows-1252".to_owned()
    })
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err("give a single ASCII character, or tab".to_owned()),
    }
}
