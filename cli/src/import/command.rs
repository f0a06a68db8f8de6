//! Imports the files and prints the totals.

use std::time::Instant;

use indicatif::HumanCount;
use serde_json::json;

use super::{
    check::check,
    customers::{self, CustomerLayout},
    interactions::{self, InteractionLayout},
};
use crate::{args::ImportArgs, connection::Connection, error::ClientError, output};

/// Imports the files, customers first.
pub(crate) async fn run(server: &Connection, args: &ImportArgs, json: bool) -> Result<(), ClientError> {
    let begin = Instant::now();
    // Blocking is fine here: nothing else runs yet.
    let customers = args.customers.as_deref().map(check::<CustomerLayout>).transpose()?;
    let interactions = args.interactions.as_deref().map(check::<InteractionLayout>).transpose()?;
    let mut totals = ImportTotals::default();
    if let Some(file) = customers {
        totals.upserted = customers::send(server, file).await?;
    }
    if let Some(file) = interactions {
        let sent = interactions::send(server, file, args.backfill).await?;
        (totals.recorded, totals.duplicates) = (sent.recorded, sent.duplicates);
    }
    totals.seconds = begin.elapsed().as_secs_f64();
    Ok(output::print(&if json { totals.json() } else { totals.text() })?)
}

/// What the server has stored.
#[derive(Default)]
struct ImportTotals {
    upserted: i64,
    recorded: i64,
    duplicates: i64,
    seconds: f64,
}

impl ImportTotals {
    fn json(&self) -> String {
        let Self { upserted, recorded, duplicates, seconds } = self;
        json!({"upserted": upserted, "recorded": recorded, "duplicates": duplicates, "seconds": seconds})
            .to_string()
    }

    fn text(&self) -> String {
        let [upserted, recorded, duplicates] =
            [self.upserted, self.recorded, self.duplicates].map(|count| HumanCount(count.unsigned_abs()));
        format!(
            "{upserted} customers upserted, {recorded} interactions recorded, {duplicates} duplicates, {:.1} s",
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_a_line() {
        let totals = ImportTotals { upserted: 2, recorded: 12_001, duplicates: 0, seconds: 0.25 };
        assert_eq!(totals.text(), "2 customers upserted, 12,001 interactions recorded, 0 duplicates, 0.2 s");
        assert_eq!(totals.json(), r#"{"duplicates":0,"recorded":12001,"seconds":0.25,"upserted":2}"#);
    }
}
