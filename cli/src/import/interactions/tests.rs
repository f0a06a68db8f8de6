//! Rows of interactions.csv.

use csv::StringRecord;
use jiff::Timestamp;

use super::InteractionLayout;
use crate::import::{
    fields::{NumberReader, RowDoubt},
    layout::{Layout, ValueOptions},
    times::TimeReader,
};

fn record(row: &str) -> StringRecord {
    row.split(',').collect()
}

fn layout(header: &str) -> InteractionLayout {
    let options = ValueOptions {
        times: TimeReader::default(),
        numbers: NumberReader::default(),
        ignored: Vec::new(),
        latest: Timestamp::constant(1_400_000_000, 0),
    };
    InteractionLayout::new(&record(header), &options, Some(2)).unwrap()
}

const HEADER: &str = "kind,occur_time,customer_id,interaction_id,amount,channel,score,lines";

#[test]
fn interactions_are_read() {
    let mut layout = layout(HEADER);
    layout.properties[1].numeric = true;
    let item = |row: &str| {
        let record = record(row);
        layout.item(&layout.row(&record).unwrap()).unwrap()
    };
    let full = item(" purchase,2011-01-01T00:00:00.5Z,C1\u{a0},\u{feff}I1,12.30, web ,x, 7");
    assert_eq!((full.customer_id.as_str(), full.interaction_id.as_str()), ("C1", "I1"));
    assert_eq!(
        (full.kind.as_str(), full.amount_minor, full.channel.as_str()),
        ("purchase", Some(1_230), "web")
    );
    let time = full.occur_time.map(|time| (time.seconds, time.nanos));
    assert_eq!(time, Some((1_293_840_000, 500_000_000)));
    let properties = [("score".to_owned(), "x".to_owned()), ("lines".to_owned(), "7".to_owned())];
    assert_eq!(full.properties, properties.into());
    let empty = item("visit,2011-01-01,C1,I2, ,,,");
    assert_eq!((empty.amount_minor, empty.properties.len()), (None, 0));
    // What stands for no value stays in a column of texts.
    let placeholders = item("visit,2011-01-01,C1,I2,NULL,n/a,-,n/a");
    assert_eq!((placeholders.amount_minor, placeholders.channel.as_str()), (None, ""));
    assert_eq!(placeholders.properties, [("score".to_owned(), "-".to_owned())].into());
    assert_eq!(item("survey,2011-01-01,C1,I2,,,NULL,").properties.len(), 0);
    assert_eq!(item("fee,2011-01-01,C1,I2,-5,,,").amount_minor, Some(-500));
}

#[test]
fn bad_fields_are_told_by_their_column() {
    let layout = layout(HEADER);
    for (row, column) in [
        ("visit,2011-01-01,C1,,,,,", 3),
        ("visit,2011-01-01,,I1,,,,", 2),
        (",2011-01-01,C1,I1,,,,", 0),
        ("None,2011-01-01,C1,I1,,,,", 0),
        ("visit,,C1,I1,,,,", 1),
        ("visit,1970-01-01,C1,I1,,,,", 1),
        ("visit,2031-01-01,C1,I1,,,,", 1),
        ("visit,2011-01-01,C1,I1,1.234,,,", 4),
        ("return,2011-01-01,C1,I1,-1,,,", 4),
        ("visit,2011-01-01,C\u{7}1,I1,,,,", 2),
        ("survey,2011-01-01,C1,I1,,,good,", 6),
    ] {
        let mistake = layout.row(&record(row)).err().unwrap();
        assert_eq!((mistake.column, mistake.doubt), (column, None), "{row}");
    }
    for (row, doubt) in [
        ("visit,2011-01-01,nan,I1,,,,", RowDoubt::PlaceholderId),
        ("visit,2011-01-01,C1,NULL,,,,", RowDoubt::PlaceholderId),
        ("purchase,2011-01-01,C1,I1,-1,,,", RowDoubt::NegativePurchase),
    ] {
        assert_eq!(layout.row(&record(row)).err().unwrap().doubt, Some(doubt), "{row}");
    }
}
