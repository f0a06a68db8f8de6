//! The kinds of work that calls are. Each has limits of its own, so that much work of one kind does not take the place
//! of another: ingest goes on during a report, and a single score does not wait behind batches.

use std::collections::HashMap;

use prometheus_client::encoding::EncodeLabelValue;
use prost::Message;
use prost_types::FileDescriptorSet;

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names are the values of the label `class`")]
pub(super) enum Class {
    /// A score of one customer.
    scoring,
    /// Scores of many customers.
    batch,
    /// Writes of customers and interactions.
    ingest,
    /// Open streams of interactions; each of their messages counts as `ingest`.
    stream,
    /// What reads many customers: reports, key figures, exports, previews.
    report,
    /// What scores all customers.
    population,
    /// Streams that wait for events.
    watch,
    /// Everything else, mostly reads and writes of single rows.
    control,
}

/// How much work of a class there is at a time.
pub(super) struct ClassLimits {
    /// Units of work that run.
    pub(super) running: u32,
    /// Calls that wait until it is their turn.
    pub(super) waiting: usize,
    /// Calls that wait while others are refused.
    pub(super) waiting_in_overload: usize,
    /// Bytes of a message that make a unit more, where the work grows with the message.
    pub(super) unit_bytes: Option<usize>,
    /// Memory that a call takes besides its message, in bytes.
    pub(super) call_bytes: usize,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 8] = [
        Self::scoring,
        Self::batch,
        Self::ingest,
        Self::stream,
        Self::report,
        Self::population,
        Self::watch,
        Self::control,
    ];

    /// The limits on a machine with this many cores.
    ///
    /// What only computes is limited by the cores, and what waits for the database by its connections. A queue is so
    /// short that its last call is answered within about five times the usual duration, and within about twice that in an
    /// overload that lasts.
    pub(super) fn limits(self, cores: u32) -> ClassLimits {
        let limits = |running, waiting, unit_bytes, call_bytes| ClassLimits {
            running,
            waiting,
            waiting_in_overload: usize::div_ceil(waiting, 4),
            unit_bytes,
            call_bytes,
        };
        let per_core = |calls: u32| (cores * calls) as usize;
        match self {
            Self::scoring => limits(cores * 32, per_core(64), None, 16 << 10),
            // A batch of 5,000 ids takes the share of a core, smaller ones less.
            Self::batch => limits(cores * 32, per_core(4), Some(1 << 10), 64 << 10),
            // Half of the connections to PostgreSQL, so that writes which wait for a lock leave the others to reads. A
            // megabyte takes all of it: SQLite stores batches one after the other.
            Self::ingest => {
                ClassLimits { waiting_in_overload: 4, ..limits(8, 64, Some(128 << 10), 16 << 10) }
            }
            Self::stream => limits(64, 0, None, 64 << 10),
            // Long computations take turns elsewhere; this limit only bounds memory. A call that waits for a pass must
            // not hold up the others.
            Self::report => limits(cores * 8, per_core(16), None, 4 << 20),
            Self::population => limits(2, 0, None, 8 << 20),
            Self::watch => limits(256, 0, None, 64 << 10),
            Self::control => limits(cores * 16, per_core(32), None, 64 << 10),
        }
    }
}

/// A method as load shedding sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    pub(super) class: Class,
    /// Whether the caller sends a stream.
    pub(super) client_streaming: bool,
    /// Whether the response is a stream.
    pub(super) server_streaming: bool,
}

/// The methods that are not [`Class::control`].
const METHODS: &[(&str, Class)] = &[
    ("ScoringService/ScoreLead", Class::scoring),
    ("ScoringService/PredictChurn", Class::scoring),
    ("ScoringService/BatchScoreLeads", Class::batch),
    ("ScoringService/BatchPredictChurn", Class::batch),
    ("CustomerService/UpsertCustomers", Class::ingest),
    ("CustomerService/ExportCustomer", Class::report),
    ("InteractionService/RecordInteractions", Class::ingest),
    ("InteractionService/RetractInteractions", Class::ingest),
    ("InteractionService/StreamInteractions", Class::stream),
    ("PredictionService/ScorePopulation", Class::population),
    ("PredictionService/ExportPredictions", Class::report),
    ("ModelService/PreviewPromotion", Class::report),
    ("ModelService/GetDrift", Class::report),
    ("ModelService/GetRealisedPerformance", Class::report),
    ("InsightService/RefreshInsights", Class::population),
    ("InsightService/ListSegments", Class::report),
    ("InsightService/ListSegmentMembers", Class::report),
    ("InsightService/GetKpis", Class::report),
    ("InsightService/GetSalesReport", Class::report),
    ("InsightService/GetCohorts", Class::report),
    ("InsightService/GetCampaigns", Class::report),
    ("InsightService/GetValueModel", Class::report),
    ("InsightService/GetForecast", Class::report),
    ("InsightService/GetActionEffect", Class::report),
    ("InsightService/ListAffinities", Class::report),
    ("InsightService/ListWorklist", Class::report),
    ("InsightService/ListEpisodes", Class::report),
    ("InsightService/PublishWorklist", Class::report),
    ("InsightService/WatchAlerts", Class::watch),
    ("DeploymentService/BackupDatabase", Class::population),
];

/// The methods of the contract, by the paths of their URLs.
pub(super) fn methods() -> HashMap<String, Method> {
    // The descriptor is part of this program and served by reflection.
    let set = FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap_or_default();
    let mut methods = HashMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}/{}", service.name(), method.name());
                let class = METHODS.iter().find(|(known, _)| *known == name).map(|(_, class)| *class);
                let method = Method {
                    class: class.unwrap_or(Class::control),
                    client_streaming: method.client_streaming(),
                    server_streaming: method.server_streaming(),
                };
                methods.insert(format!("/{}.{name}", file.package()), method);
            }
        }
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_methods_of_the_contract_and_all_that_stream() {
        let methods = methods();
        for (name, class) in METHODS {
            assert_eq!(methods[&format!("/tally.v1.{name}")].class, *class, "{name}");
        }
        for (path, method) in methods {
            let Method { class, client_streaming, server_streaming } = method;
            assert_eq!(client_streaming, class == Class::stream, "{path}");
            assert!(!server_streaming || class != Class::control, "{path} streams, so that it has a class");
        }
    }

    #[test]
    fn the_page_of_limits_has_the_classes_of_methods() {
        let page = include_str!("../../../../../docs/limits.md");
        for (name, class) in METHODS {
            let start = format!("| `{class:?}` |");
            let row = page.lines().find(|line| line.starts_with(&start)).unwrap();
            let method = name.split('/').next_back().unwrap();
            assert!(row.split([' ', ',', '|']).any(|word| word == method), "{method} in {row}");
        }
    }

    #[test]
    fn classes_stand_in_the_order_of_their_numbers() {
        for (n, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, n);
        }
    }
}
