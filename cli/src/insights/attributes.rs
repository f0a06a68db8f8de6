//! `tally insights attributes`: which attributes customers have.

use tally_proto::v1::{
    AttributeCoverage, InsightServiceListAttributesRequest, InsightServiceListAttributesResponse,
};

use crate::{
    args::AttributesArgs,
    connection::Connection,
    error::ClientError,
    output::{self, bar, count, counted, cut, moment, narrow_table, narrow_text, printable, ratio, room},
    time,
};

/// The most columns of a name.
const NAME: usize = 28;
/// The columns of a bar.
const BAR: usize = 10;
/// The least room for the commonest values.
const VALUES: usize = 16;

/// Prints the attributes.
pub(super) async fn attributes(
    server: &Connection,
    args: &AttributesArgs,
    json: bool,
) -> Result<(), ClientError> {
    let request = InsightServiceListAttributesRequest {
        as_of_time: args.as_of.map(time::timestamp),
        segmentation: args.segmentation.clone().unwrap_or_default(),
        segment: args.segment.clone().unwrap_or_default(),
    };
    let reply = server.insights().list_attributes(request).await.map_err(|status| server.error(&status))?;
    let of = match (&args.segmentation, &args.segment) {
        (Some(segmentation), Some(segment)) => {
            format!(" of {} {}", printable(segmentation), printable(segment))
        }
        _ => String::new(),
    };
    Ok(output::show(reply.get_ref(), json, |reply| page(reply, &of))?)
}

/// The attributes of the customers, or of those that `of` names.
fn page(reply: &InsightServiceListAttributesResponse, of: &str) -> String {
    let as_of = moment(reply.as_of_time.as_ref());
    if reply.customers == 0 {
        return narrow_text(&format!("no customers{of} as of {as_of}"));
    }
    let customers = format!("{}{of} as of {as_of}", counted(reply.customers, "customer", "customers"));
    if reply.attributes.is_empty() {
        return narrow_text(&format!("no attributes: {customers}"));
    }
    let mut header = vec!["attribute", "type", "customers", "coverage", "", "distinct"];
    let mut rows: Vec<Vec<String>> = reply.attributes.iter().map(row).collect();
    let columns = room(&header, &rows, header.len(), VALUES);
    header.push("commonest values");
    for (row, attribute) in rows.iter_mut().zip(&reply.attributes) {
        row.push(commonest(attribute, columns));
    }
    format!("{}\n\n{}", narrow_table(&header, &[2, 3, 5], rows), narrow_text(&customers))
}

fn row(attribute: &AttributeCoverage) -> Vec<String> {
    vec![
        cut(&attribute.name, NAME),
        printable(&attribute.r#type),
        count(attribute.customers),
        ratio(Some(attribute.coverage)),
        bar(attribute.coverage, BAR),
        count(attribute.distinct_values),
    ]
}

/// As many of the commonest values as there is room for; the first one is cut when it has no room.
fn commonest(attribute: &AttributeCoverage, columns: usize) -> String {
    let mut text = String::new();
    for (n, value) in attribute.top_values.iter().enumerate() {
        let customers = format!(" ({})", count(value.customers));
        if n == 0 {
            let room = columns.saturating_sub(customers.len()).max(1);
            text = format!("{}{customers}", cut(&value.value, room));
            continue;
        }
        let more = format!("{text}, {}{customers}", printable(&value.value));
        if tally_terminal::width(&more) > columns {
            break;
        }
        text = more;
    }
    text
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::ValueCount;

    use super::*;
    use crate::insights::samples::{assert_fits, long_name, moment};

    fn attribute(name: &str, r#type: &str, customers: i64, coverage: f64) -> AttributeCoverage {
        let (name, r#type) = (name.to_owned(), r#type.to_owned());
        AttributeCoverage { name, r#type, customers, coverage, ..AttributeCoverage::default() }
    }

    fn values(values: &[(&str, i64)]) -> Vec<ValueCount> {
        let value = |(value, customers): &(&str, i64)| ValueCount {
            value: (*value).to_owned(),
            customers: *customers,
        };
        values.iter().map(value).collect()
    }

    fn reply(attributes: Vec<AttributeCoverage>, customers: i64) -> InsightServiceListAttributesResponse {
        let as_of_time = moment("2011-12-09");
        InsightServiceListAttributesResponse { attributes, as_of_time, customers, ..Default::default() }
    }

    #[test]
    fn attributes_are_a_table_with_bars() {
        let region = AttributeCoverage {
            distinct_values: 3,
            top_values: values(&[("north", 1_500), ("south", 1_000), ("no\nrth", 500)]),
            ..attribute("region", "text", 3_000, 1.0)
        };
        let size = AttributeCoverage {
            distinct_values: 1_234,
            top_values: values(&[("12", 40), ("a value that is too long for the rest of a line", 30)]),
            ..attribute("employees", "number", 1_234, 0.4113)
        };
        let rare = AttributeCoverage { distinct_values: 1, ..attribute("vip", "boolean", 1, 0.0003) };
        insta::assert_snapshot!(page(&reply(vec![region, size, rare], 3_000), ""), @r"
        attribute  type     customers  coverage              distinct  commonest values
        ────────────────────────────────────────────────────────────────────────────────────────────
        region     text         3,000   100.0 %  ██████████         3  north (1,500), south (1,000)
        employees  number       1,234    41.1 %  ████▏          1,234  12 (40)
        vip        boolean          1     0.0 %  ▏                  1

        3,000 customers as of 2011-12-09T00:00:00Z
        ");
    }

    #[test]
    fn long_names_and_large_numbers_fit() {
        let wide = AttributeCoverage {
            distinct_values: i64::MAX,
            top_values: values(&[(&long_name(), i64::MAX)]),
            ..attribute(&long_name(), "boolean", i64::MAX, 1.0)
        };
        let text = page(&reply(vec![wide], i64::MAX), &format!(" of attribute:{0} {0}", long_name()));
        assert_fits(&text);
        assert!(text.contains("100.0 %") && text.contains("9,223,372,036,854,775,807"), "{text}");
    }

    #[test]
    fn nothing_is_a_sentence() {
        assert_eq!(page(&reply(vec![], 0), " of abc A"), "no customers of abc A as of 2011-12-09T00:00:00Z");
        assert_eq!(page(&reply(vec![], 7), ""), "no attributes: 7 customers as of 2011-12-09T00:00:00Z");
    }
}
