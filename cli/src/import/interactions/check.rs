//! The first pass over interactions.csv.

use csv::StringRecord;
use jiff::{SignedDuration, Timestamp};
use tally_proto::{limits, v1::OnConflict, values::trimmed};

use super::{InteractionLayout, remarks};
use crate::{
    error::CsvError,
    import::{
        amounts::AmountStatistics,
        check::{Checked, FirstPass},
        currencies::CurrencyStatistics,
        fields::Mistake,
        findings::{
            ColumnReport, ColumnStatistics, CustomerIds, Findings, InteractionKeys, KindStatistics,
            TableReport, ValueType,
        },
        inputs::InputTable,
        layout::Layout,
    },
    output::counted,
};

/// What the rows of interactions.csv contain.
#[derive(Default)]
pub(super) struct InteractionStatistics {
    /// One for each property.
    properties: Vec<ColumnStatistics>,
    /// Rows, good and bad.
    rows: u64,
    /// Rows with an id that has letters beyond ASCII.
    foreign_ids: u64,
    pub(super) keys: InteractionKeys,
    pub(super) kinds: KindStatistics,
    pub(super) amounts: AmountStatistics,
    pub(super) negative: u64,
    pub(super) currencies: CurrencyStatistics,
    /// The column of currencies.
    currency: Option<usize>,
    channels: u64,
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// Happened more than a day ago.
    pub(super) old: u64,
    pub(super) before_creation: u64,
    pub(super) first_before_creation: Option<u64>,
    /// Rows of customers that have no row in customers.csv.
    pub(super) without_customer: u64,
    pub(super) first_without_customer: Option<(u64, String)>,
}

/// Reads interactions.csv to its end, and adds what it contains to `findings`. `ids` has the customers, if
/// customers.csv is imported as well.
pub(in crate::import) fn check(
    source: InputTable,
    pass: &FirstPass<'_>,
    ids: &mut CustomerIds,
    findings: &mut Findings,
) -> Result<Checked<InteractionLayout>, CsvError> {
    let mut rows = pass.open(&source)?;
    let header = rows.table.header().clone();
    let layout = InteractionLayout::new(&header, &pass.options, pass.server.amount_decimals);
    let mut layout = layout.map_err(|message| CsvError::of_file(source.name(), message))?;
    let mut statistics = InteractionStatistics::of(&layout);
    let now = pass.options.latest - SignedDuration::from_micros(limits::FUTURE_MICROS);
    let day_ago = now - SignedDuration::from_hours(24);
    let good = rows.read(&source, |record, line| statistics.add(&layout, ids, (record, line), day_ago))?;
    statistics.keys.compare();
    check_conflicts(&statistics.keys, &source, pass.on_conflict)?;
    statistics.settle(&mut layout, pass.on_conflict);
    remarks::add(&statistics, source.name(), pass, findings);
    rows.note_left_out(&source, "interactions", findings);
    source.report(statistics.foreign_ids, findings);
    findings.tables.push(TableReport {
        file: source.name().display().to_string(),
        items: "interactions",
        source: source.description(),
        rows: good,
        columns: statistics.columns(&layout, &header, good),
        span: statistics.span,
        kinds: statistics.kinds.sorted(),
        bad: rows.bad,
    });
    let rows = good - layout.replaced.len() as u64;
    Ok(Checked { source, layout, rows })
}

/// Fails if rows contradict each other and nobody has said which of them counts.
fn check_conflicts(
    keys: &InteractionKeys,
    source: &InputTable,
    on_conflict: OnConflict,
) -> Result<(), CsvError> {
    if keys.changed == 0 || matches!(on_conflict, OnConflict::Skip | OnConflict::Correct) {
        return Ok(());
    }
    let message = format!(
        "{} the customer_id and interaction_id of an earlier row with other content, of which this is the first; with \
         --on-conflict skip the first row of each counts, with --on-conflict correct the last",
        counted(keys.changed, "row has", "rows have")
    );
    Err(CsvError { line: keys.first_changed, ..CsvError::of_file(source.name(), message) })
}

impl InteractionStatistics {
    fn of(layout: &InteractionLayout) -> Self {
        let properties = layout.properties.iter().map(|_| ColumnStatistics::default()).collect();
        Self { properties, currency: layout.currency(), ..Self::default() }
    }

    fn add(
        &mut self,
        layout: &InteractionLayout,
        ids: &mut CustomerIds,
        (record, line): (&StringRecord, u64),
        day_ago: Timestamp,
    ) -> Result<(), Mistake> {
        self.rows += 1;
        let row = layout.row(record)?;
        let id = &record[layout.customer_id];
        self.foreign_ids += u64::from(!row.customer_id.is_ascii() || !row.interaction_id.is_ascii());
        ids.trimmed += u64::from(row.customer_id.len() != id.len());
        if let Some(customer) = ids.add_interaction(row.customer_id, line) {
            if !customer.has_row {
                self.without_customer += 1;
                self.first_without_customer.get_or_insert_with(|| (line, row.customer_id.to_owned()));
            }
            if customer.was_created_after(row.occur_time) {
                self.before_creation += 1;
                self.first_before_creation.get_or_insert(line);
            }
        }
        self.keys.add((row.customer_id, row.interaction_id), record, (self.rows, line));
        self.kinds.add(row.kind);
        self.channels += u64::from(!row.channel.is_empty());
        self.old += u64::from(row.occur_time < day_ago);
        let (first, last) = self.span.unwrap_or((row.occur_time, row.occur_time));
        self.span = Some((first.min(row.occur_time), last.max(row.occur_time)));
        if let Some(amount) = row.amount {
            self.amounts.add(amount);
            self.negative += u64::from(amount.is_negative());
            if let Some(column) = self.currency {
                self.currencies.add(trimmed(&record[column]));
            }
        }
        for (property, statistics) in layout.properties.iter().zip(&mut self.properties) {
            statistics.add(trimmed(&record[property.column]), layout.options.numbers);
        }
        Ok(())
    }

    /// Settles what depends on all rows.
    fn settle(&self, layout: &mut InteractionLayout, on_conflict: OnConflict) {
        layout.amounts.decimals.get_or_insert_with(|| self.amounts.decimals());
        layout.replaced = self.keys.replaced(on_conflict == OnConflict::Correct);
        for (property, values) in layout.properties.iter_mut().zip(&self.properties) {
            property.numeric = values.value_type() == Some(ValueType::Number);
        }
    }

    fn columns(&self, layout: &InteractionLayout, header: &StringRecord, rows: u64) -> Vec<ColumnReport> {
        let known =
            |column: usize, meaning, values| ColumnReport::known(&header[column], meaning, values, rows);
        let mut columns = vec![
            known(layout.interaction_id, "key", rows),
            known(layout.customer_id, "customer", rows),
            known(layout.kind, "kind", rows),
            known(layout.occur_time, "time", rows),
        ];
        columns.extend(layout.amount.map(|column| known(column, "money", self.amounts.count)));
        columns.extend(layout.channel.map(|column| known(column, "channel", self.channels)));
        let properties = layout.properties.iter().zip(&self.properties);
        columns.extend(properties.map(|(property, statistics)| statistics.property(&property.name)));
        columns.extend(ColumnReport::ignored(header, &layout.options.ignored));
        columns
    }
}
