//! The first pass over customers.csv.

use csv::StringRecord;
use tally_proto::values::trimmed;

use super::{CustomerLayout, layout::Attribute};
use crate::{
    error::CsvError,
    import::{
        check::{Checked, FirstPass},
        fields::Mistake,
        findings::{ColumnReport, ColumnStatistics, CustomerIds, Findings, TableReport, ValueType},
        inputs::InputTable,
        layout::Layout,
        server_state::ServerState,
    },
    output::{counted, printable},
};

/// Reads customers.csv to its end, and adds what it contains to `findings`.
pub(in crate::import) fn check(
    source: InputTable,
    pass: &FirstPass<'_>,
    ids: &mut CustomerIds,
    findings: &mut Findings,
) -> Result<Checked<CustomerLayout>, CsvError> {
    let mut rows = pass.open(&source)?;
    let header = rows.table.header().clone();
    let layout = CustomerLayout::new(&header, &pass.options);
    let layout = layout.map_err(|message| CsvError::of_file(source.name(), message))?;
    let mut statistics = CustomerStatistics::new(&layout);
    let good = rows.read(&source, |record, line| statistics.add(&layout, ids, record, line))?;
    let layout = statistics.settled(layout, pass.server);
    statistics.report_types(&layout, &source, pass.server, findings);
    if statistics.repeated > 0 {
        let text = format!(
            "{}: {} a customer; the latest row of each counts",
            source.name().display(),
            counted(statistics.repeated, "row repeats", "rows repeat")
        );
        findings.note("REPEATED_CUSTOMERS", statistics.repeated, text);
    }
    rows.note_left_out(&source, "customers", findings);
    source.report(statistics.foreign_ids, findings);
    findings.tables.push(TableReport {
        file: source.name().display().to_string(),
        items: "customers",
        source: source.description(),
        rows: good,
        columns: statistics.columns(&layout, &header, good),
        span: None,
        kinds: Vec::new(),
        bad: rows.bad,
    });
    Ok(Checked { source, layout, rows: good })
}

/// What the rows of customers.csv contain.
struct CustomerStatistics {
    /// One for each attribute.
    attributes: Vec<ColumnStatistics>,
    names: u64,
    create_times: u64,
    repeated: u64,
    /// Rows whose id has letters beyond ASCII.
    foreign_ids: u64,
}

impl CustomerStatistics {
    fn new(layout: &CustomerLayout) -> Self {
        let attributes = layout.attributes.iter().map(|_| ColumnStatistics::default()).collect();
        Self { attributes, names: 0, create_times: 0, repeated: 0, foreign_ids: 0 }
    }

    fn add(
        &mut self,
        layout: &CustomerLayout,
        ids: &mut CustomerIds,
        record: &StringRecord,
        line: u64,
    ) -> Result<(), Mistake> {
        let row = layout.row(record)?;
        self.repeated += u64::from(ids.add_customer(row.customer_id, row.create_time, line));
        self.foreign_ids += u64::from(!row.customer_id.is_ascii());
        ids.trimmed += u64::from(layout.has_blanks_around_id(record));
        self.names += u64::from(!row.name.is_empty());
        self.create_times += u64::from(row.create_time.is_some());
        for (attribute, statistics) in layout.attributes.iter().zip(&mut self.attributes) {
            statistics.add(trimmed(&record[attribute.column]), layout.options.numbers);
        }
        Ok(())
    }

    /// The layout with the types of the attributes. An attribute that is stored as a text stays one, since codes may
    /// all look like numbers in a small file.
    fn settled(&self, mut layout: CustomerLayout, server: &ServerState) -> CustomerLayout {
        for (attribute, statistics) in layout.attributes.iter_mut().zip(&self.attributes) {
            let stored = server.attribute_type(&attribute.name).filter(|stored| *stored == ValueType::Text);
            attribute.value_type = stored.or(statistics.value_type()).unwrap_or(ValueType::Text);
        }
        layout
    }

    fn report_types(
        &self,
        layout: &CustomerLayout,
        source: &InputTable,
        server: &ServerState,
        findings: &mut Findings,
    ) {
        let file = source.name().display().to_string();
        for (attribute, statistics) in layout.attributes.iter().zip(&self.attributes) {
            let texts = statistics.texts_among_numbers();
            if texts > 0 && attribute.value_type == ValueType::Text {
                let text = format!(
                    "{file}: `{}` is a text, since {}, such as `{}`",
                    printable(&attribute.name),
                    counted(texts, "value is no number", "values are no numbers"),
                    printable(statistics.example().unwrap_or("true"))
                );
                findings.note("TEXTS_AMONG_NUMBERS", texts, text);
            }
            if let Some(example) = statistics.separated() {
                let text = format!(
                    "{file}: `{}` is a text, since values such as `{}` have separators of thousands; a mapping with \
                     `strip` removes them",
                    printable(&attribute.name),
                    printable(example)
                );
                findings.note("SEPARATED_NUMBERS", 1, text);
            }
            report_change(attribute, statistics, (&file, server), findings);
        }
    }

    fn columns(&self, layout: &CustomerLayout, header: &StringRecord, rows: u64) -> Vec<ColumnReport> {
        let known =
            |column: usize, meaning, values| ColumnReport::known(&header[column], meaning, values, rows);
        let mut columns = vec![
            known(layout.customer_id, "customer", rows),
            known(layout.create_time, "time of creation", self.create_times),
        ];
        columns.extend(layout.name.map(|column| known(column, "name", self.names)));
        let attributes = layout.attributes.iter().zip(&self.attributes);
        columns.extend(
            attributes
                .map(|(attribute, statistics)| statistics.attribute(&attribute.name, attribute.value_type)),
        );
        columns.extend(ColumnReport::ignored(header, &layout.options.ignored));
        columns
    }
}

/// Compares the type of an attribute with that of the stored customers.
fn report_change(
    attribute: &Attribute,
    statistics: &ColumnStatistics,
    (file, server): (&str, &ServerState),
    findings: &mut Findings,
) {
    let (Some(stored), Some(found)) = (server.attribute_type(&attribute.name), statistics.value_type())
    else {
        return;
    };
    let (name, is_now) = (printable(&attribute.name), attribute.value_type);
    let customers = counted(server.customers_with(&attribute.name), "customer", "customers");
    if stored != is_now {
        let example = statistics.example().map(|text| format!(" (`{}`)", printable(text)));
        let text = format!(
            "{file}: `{name}` is a {} for {customers}, and this file makes it a {}{}; the serving model would \
             ignore it",
            stored.name(),
            is_now.name(),
            example.unwrap_or_default()
        );
        findings.doubt("ATTRIBUTE_TYPE_CHANGE", 1, text);
    } else if found != is_now {
        let text = format!("{file}: `{name}` stays a text, as it is for {customers}");
        findings.note("ATTRIBUTE_STAYS_TEXT", 1, text);
    }
}

impl CustomerLayout {
    fn has_blanks_around_id(&self, record: &StringRecord) -> bool {
        let id = &record[self.customer_id];
        trimmed(id).len() != id.len()
    }
}
