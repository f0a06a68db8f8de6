//! `tally insights sales`: what was sold by period, and by channel, property or attribute.

use tally_proto::v1::{GetSalesReportRequest, GetSalesReportResponse, SalesRow};

use super::{
    periods::{Names, PARTIAL, Range},
    reply,
};
use crate::{
    args::SalesArgs,
    connection::Connection,
    error::ClientError,
    output::{Currency, count, cut, growth, insert_bars, narrow_table, narrow_text},
};

/// The most columns of a value.
const VALUE: usize = 24;

/// Prints the sales.
pub(super) async fn sales(server: &Connection, args: &SalesArgs, json: bool) -> Result<(), ClientError> {
    let Range { from_time, to_time, period, time_zone } = Range::of(&args.range);
    let dimension = args.by.clone().unwrap_or_default();
    let max_values = args.max_values;
    let request = GetSalesReportRequest { from_time, to_time, period, time_zone, dimension, max_values };
    let reply = server.insights().get_sales_report(request).await.map_err(|status| server.error(&status))?;
    let text =
        |reply: &GetSalesReportResponse, currency: &Currency| Report::of(args, reply).page(reply, currency);
    reply::show(server, reply.get_ref(), json, text).await
}

/// How the sales are divided.
struct Report<'a> {
    names: Names,
    /// The name of what they are divided by, such as category.
    dimension: Option<&'a str>,
    /// Whether anything is compared with what was before.
    with_growth: bool,
}

impl<'a> Report<'a> {
    fn of(args: &'a SalesArgs, reply: &GetSalesReportResponse) -> Self {
        let name = |by: &'a String| by.split_once(':').map_or(by.as_str(), |(_, name)| name);
        let mut rows = reply.rows.iter().chain(&reply.period_totals);
        let with_growth = rows.any(|row| row.growth_previous.is_some() || row.growth_year_before.is_some());
        Self { names: Names::of(&args.range), dimension: args.by.as_ref().map(name), with_growth }
    }

    fn page(&self, reply: &GetSalesReportResponse, currency: &Currency) -> String {
        if reply.period_totals.is_empty() && reply.rows.is_empty() {
            return "no purchases in this time".to_owned();
        }
        let dimension = self.dimension.map(|dimension| cut(dimension, VALUE));
        let mut header = vec!["period"];
        header.extend(dimension.as_deref());
        let revenue = header.len();
        header.extend(["revenue", "returns", "orders", "customers"]);
        header.extend(["growth", "year ago"].iter().filter(|_| self.with_growth));
        let (mut rows, shares) = self.rows(reply, currency);
        insert_bars(&mut header, &mut rows, revenue + 1, shares);
        let numbers: Vec<usize> = (revenue..header.len()).filter(|column| *column != revenue + 1).collect();
        let mut notes = Vec::new();
        if self.with_growth {
            notes.push("growth of the revenue since the period before, and since the same one a year ago");
        }
        if reply.period_totals.iter().chain(&reply.rows).any(|row| row.partial) {
            notes.push(PARTIAL);
        }
        let note = currency.note();
        notes.extend(note.as_deref());
        let mut parts = vec![narrow_table(&header, &numbers, rows), narrow_text(&notes.join("\n"))];
        parts.extend(reply::warnings(&reply.warnings));
        parts.join("\n\n")
    }

    /// The rows of each period, with its total if there is a dimension, and the total of all; and the length of the bar
    /// of each.
    fn rows(
        &self,
        reply: &GetSalesReportResponse,
        currency: &Currency,
    ) -> (Vec<Vec<String>>, Vec<Option<f64>>) {
        let greatest = reply.rows.iter().map(|row| row.revenue_minor).max().unwrap_or_default();
        let share = |row: &SalesRow| (greatest > 0).then(|| row.revenue_minor as f64 / greatest as f64);
        let (mut rows, mut shares) = (Vec::new(), Vec::new());
        let mut values = reply.rows.iter().peekable();
        for total in &reply.period_totals {
            while let Some(row) = values.next_if(|row| row.period_start == total.period_start) {
                rows.push(self.row(self.period(row), value(row), row, currency));
                shares.push(share(row));
            }
            if self.dimension.is_some() {
                rows.push(self.row(self.period(total), "(all)".to_owned(), total, currency));
                shares.push(None);
            }
        }
        let total = reply.total.clone().unwrap_or_default();
        rows.push(self.row("total".to_owned(), String::new(), &total, currency));
        (rows, shares)
    }

    fn period(&self, row: &SalesRow) -> String {
        self.names.name(row.period_start.as_ref(), row.period_end.as_ref(), row.partial)
    }

    fn row(&self, period: String, value: String, row: &SalesRow, currency: &Currency) -> Vec<String> {
        let mut cells = vec![period];
        cells.extend(self.dimension.map(|_| value));
        cells.extend([
            currency.amount(row.revenue_minor),
            currency.amount(row.returns_minor),
            count(row.orders),
            count(row.customers),
        ]);
        if self.with_growth {
            cells.extend([growth(row.growth_previous), growth(row.growth_year_before)]);
        }
        cells
    }
}

/// The value of a row, or what represents it.
fn value(row: &SalesRow) -> String {
    match (row.is_other, row.value.as_str()) {
        (true, _) => "(others)".to_owned(),
        (false, "") => "(missing)".to_owned(),
        (false, value) => cut(value, VALUE),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        args::{Args, Command, InsightsCommand},
        insights::samples::{assert_fits, euro, long_name, moment},
    };

    /// The page of `tally insights sales` with these arguments.
    fn page(arguments: &[&str], reply: &GetSalesReportResponse) -> String {
        let arguments = ["tally", "insights", "sales"].iter().chain(arguments);
        let args = Args::try_parse_from(arguments).unwrap();
        let Command::Insights(InsightsCommand::Sales(args)) = args.command else { panic!("{args:?}") };
        Report::of(&args, reply).page(reply, &euro())
    }

    fn row(month: u32, value: &str, revenue_minor: i64) -> SalesRow {
        SalesRow {
            period_start: moment(&format!("2011-{month:02}-01")),
            period_end: moment(&format!("2011-{:02}-01", month + 1)),
            partial: month == 11,
            value: value.to_owned(),
            revenue_minor,
            returns_minor: revenue_minor / 40,
            orders: revenue_minor / 20_000,
            customers: revenue_minor / 50_000,
            growth_previous: (month == 10).then_some(0.25),
            growth_year_before: (month == 10).then_some(-0.031),
            ..SalesRow::default()
        }
    }

    #[test]
    fn sales_of_periods_are_a_table() {
        let rows = vec![row(10, "", 115_497_954), row(11, "", 50_000_000)];
        let total = Some(SalesRow {
            partial: false,
            growth_previous: None,
            growth_year_before: None,
            ..row(10, "", 165_497_954)
        });
        let reply = GetSalesReportResponse { period_totals: rows.clone(), rows, total, ..Default::default() };
        insta::assert_snapshot!(page(&[], &reply), @r"
        period         revenue                          returns  orders  customers   growth  year ago
        ──────────────────────────────────────────────────────────────────────────────────────────────
        2011-10   1,154,979.54  ████████████████████  28,874.48   5,774      2,309  +25.0 %    -3.1 %
        2011-11*    500,000.00  ████████▋             12,500.00   2,500      1,000        –         –
        total     1,654,979.54                        41,374.48   8,274      3,309        –         –

        growth of the revenue since the period before, and since the same one a year ago
        * not over yet, or cut by the beginning or the end of the report
        amounts in EUR
        ");
    }

    #[test]
    fn sales_by_a_dimension_have_totals() {
        let others = SalesRow { is_other: true, ..row(10, "", 4_000_000) };
        let rows =
            vec![row(10, "web", 80_000_000), row(10, "", 20_000_000), others, row(11, "web", 40_000_000)];
        let period_totals = vec![row(10, "", 104_000_000), row(11, "", 40_000_000)];
        let total =
            Some(SalesRow { growth_previous: None, growth_year_before: None, ..row(10, "", 144_000_000) });
        let reply = GetSalesReportResponse { rows, period_totals, total, ..Default::default() };
        insta::assert_snapshot!(page(&["--by", "channel"], &reply), @r"
        period    channel         revenue                     returns  orders  customers   growth  year ago
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        2011-10   web          800,000.00  ███████████████  20,000.00   4,000      1,600  +25.0 %    -3.1 %
        2011-10   (missing)    200,000.00  ███▊              5,000.00   1,000        400  +25.0 %    -3.1 %
        2011-10   (others)      40,000.00  ▊                 1,000.00     200         80  +25.0 %    -3.1 %
        2011-10   (all)      1,040,000.00                   26,000.00   5,200      2,080  +25.0 %    -3.1 %
        2011-11*  web          400,000.00  ███████▌         10,000.00   2,000        800        –         –
        2011-11*  (all)        400,000.00                   10,000.00   2,000        800        –         –
        total                1,440,000.00                   36,000.00   7,200      2,880        –         –

        growth of the revenue since the period before, and since the same one a year ago
        * not over yet, or cut by the beginning or the end of the report
        amounts in EUR
        ");
    }

    #[test]
    fn long_names_and_large_numbers_fit() {
        let wide = SalesRow {
            returns_minor: i64::MIN,
            growth_previous: Some(1e12),
            ..row(10, &long_name(), i64::MAX)
        };
        let reply = GetSalesReportResponse {
            rows: vec![wide.clone()],
            period_totals: vec![wide.clone()],
            total: Some(wide),
            ..Default::default()
        };
        assert_fits(&page(&["--by", &format!("property:{}", long_name())], &reply));
        assert_fits(&page(&["--period", "all"], &reply));
    }

    #[test]
    fn growth_that_no_period_has_takes_no_room() {
        let row = SalesRow { growth_previous: None, growth_year_before: None, ..row(10, "tea", 100_000_000) };
        let reply = GetSalesReportResponse {
            rows: vec![row.clone()],
            period_totals: vec![row.clone()],
            total: Some(row),
            ..Default::default()
        };
        insta::assert_snapshot!(page(&["--by", "property:category", "--period", "all"], &reply), @r"
        period                    category       revenue                         returns  orders  customers
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        2011-10-01 to 2011-10-31  tea       1,000,000.00  ███████████████████  25,000.00   5,000      2,000
        2011-10-01 to 2011-10-31  (all)     1,000,000.00                       25,000.00   5,000      2,000
        total                               1,000,000.00                       25,000.00   5,000      2,000

        amounts in EUR
        ");
    }

    #[test]
    fn nothing_sold_is_a_sentence() {
        assert_eq!(page(&[], &GetSalesReportResponse::default()), "no purchases in this time");
    }
}
