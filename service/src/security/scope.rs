//! What a caller may do: four scopes, and which of them each RPC needs.

use std::{collections::HashMap, fmt, str::FromStr, sync::LazyLock};

/// A right. None includes another: a caller that reads and writes has both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Compute scores of given customers, and store them with `persist`.
    Score,
    /// Read what is stored, and what follows from it.
    Read,
    /// Change what is stored of customers, and score or hand out all of them.
    Write,
    /// Choose the models that serve, erase and export customers, read the audit log, and copy the database.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Score, Self::Read, Self::Write, Self::Admin];

    /// Its name in token files and JWTs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|scope| scope.name() == name);
        known.ok_or("is no scope; allowed are score, read, write and admin")
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether the scope is one of them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope as u8))
    }
}

/// Who may call an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody.
    Open,
    /// Callers with valid credentials, whatever their scopes.
    AnyCaller,
    /// Callers with this scope.
    Needs(Scope),
}

/// The rule of each RPC, by its path in the URL.
const RULES: &[(&str, Rule)] = &[
    ("/grpc.health.v1.Health/Check", Rule::Open),
    ("/grpc.health.v1.Health/Watch", Rule::Open),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Rule::AnyCaller),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Rule::AnyCaller),
    ("/tally.v1.ScoringService/ScoreLead", Rule::Needs(Scope::Score)),
    ("/tally.v1.ScoringService/PredictChurn", Rule::Needs(Scope::Score)),
    ("/tally.v1.ScoringService/BatchScoreLeads", Rule::Needs(Scope::Score)),
    ("/tally.v1.ScoringService/BatchPredictChurn", Rule::Needs(Scope::Score)),
    ("/tally.v1.CustomerService/UpsertCustomers", Rule::Needs(Scope::Write)),
    ("/tally.v1.CustomerService/GetCustomer", Rule::Needs(Scope::Read)),
    ("/tally.v1.CustomerService/ListCustomers", Rule::Needs(Scope::Read)),
    ("/tally.v1.CustomerService/DeleteCustomer", Rule::Needs(Scope::Admin)),
    ("/tally.v1.CustomerService/ExportCustomer", Rule::Needs(Scope::Admin)),
    ("/tally.v1.CustomerService/MergeCustomers", Rule::Needs(Scope::Write)),
    ("/tally.v1.CustomerService/ListAttributes", Rule::Needs(Scope::Read)),
    ("/tally.v1.InteractionService/RecordInteractions", Rule::Needs(Scope::Write)),
    ("/tally.v1.InteractionService/StreamInteractions", Rule::Needs(Scope::Write)),
    ("/tally.v1.InteractionService/RetractInteractions", Rule::Needs(Scope::Write)),
    ("/tally.v1.InteractionService/ListInteractions", Rule::Needs(Scope::Read)),
    ("/tally.v1.PredictionService/ScorePopulation", Rule::Needs(Scope::Write)),
    ("/tally.v1.PredictionService/ListPredictions", Rule::Needs(Scope::Read)),
    ("/tally.v1.PredictionService/ExportPredictions", Rule::Needs(Scope::Read)),
    ("/tally.v1.PredictionService/ReplayPrediction", Rule::Needs(Scope::Read)),
    ("/tally.v1.PredictionService/ComparePredictions", Rule::Needs(Scope::Read)),
    ("/tally.v1.ModelService/ListModels", Rule::Needs(Scope::Read)),
    ("/tally.v1.ModelService/GetModel", Rule::Needs(Scope::Read)),
    ("/tally.v1.ModelService/PromoteModel", Rule::Needs(Scope::Admin)),
    ("/tally.v1.ModelService/RollbackModel", Rule::Needs(Scope::Admin)),
    ("/tally.v1.ModelService/PreviewPromotion", Rule::Needs(Scope::Read)),
    ("/tally.v1.ModelService/ListPromotions", Rule::Needs(Scope::Read)),
    ("/tally.v1.ModelService/GetDrift", Rule::Needs(Scope::Read)),
    ("/tally.v1.ModelService/GetRealisedPerformance", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/RefreshInsights", Rule::Needs(Scope::Write)),
    ("/tally.v1.InsightService/GetCustomerInsight", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListAttributes", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListSegments", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListSegmentMembers", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/GetKpis", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/GetSalesReport", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/GetCohorts", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/GetCampaigns", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/GetValueModel", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListAffinities", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListJobs", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListWorklist", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListEpisodes", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/PublishWorklist", Rule::Needs(Scope::Write)),
    ("/tally.v1.InsightService/RecordActionOutcome", Rule::Needs(Scope::Write)),
    ("/tally.v1.InsightService/GetActionEffect", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/GetForecast", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/ListAlerts", Rule::Needs(Scope::Read)),
    ("/tally.v1.InsightService/AcknowledgeAlert", Rule::Needs(Scope::Write)),
    ("/tally.v1.InsightService/WatchAlerts", Rule::Needs(Scope::Read)),
    ("/tally.v1.DeploymentService/GetDeployment", Rule::Needs(Scope::Read)),
    ("/tally.v1.DeploymentService/BackupDatabase", Rule::Needs(Scope::Admin)),
    ("/tally.v1.DeploymentService/ListAuditEvents", Rule::Needs(Scope::Admin)),
];

static BY_PATH: LazyLock<HashMap<&str, Rule>> = LazyLock::new(|| RULES.iter().copied().collect());

/// The rule of the RPC with this path; None when there is no such RPC. A call without a rule is refused.
#[must_use]
pub fn rule(path: &str) -> Option<Rule> {
    BY_PATH.get(path).copied()
}

/// The path of an RPC, as the table has it; None when there is no such RPC.
#[must_use]
pub fn known_path(path: &str) -> Option<&'static str> {
    BY_PATH.get_key_value(path).map(|(known, _)| *known)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_rpc_of_the_contract_has_a_rule_and_every_rule_an_rpc() {
        let set = FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap();
        let services = set.file.iter().flat_map(|file| file.service.iter().map(move |s| (file.package(), s)));
        let rpcs: BTreeSet<String> = services
            .flat_map(|(package, service)| {
                service.method.iter().map(move |m| format!("/{package}.{}/{}", service.name(), m.name()))
            })
            .collect();
        let rules: BTreeSet<String> = RULES
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .filter(|path| path.starts_with("/tally"))
            .collect();
        assert_eq!(rules, rpcs, "add the scope of a new RPC to RULES and to docs/security.md");
        assert_eq!(BY_PATH.len(), RULES.len());
        assert_eq!(rule("/tally.v1.CustomerService/"), None);
    }

    #[test]
    fn a_set_has_the_scopes_that_it_was_made_of() {
        let scopes: Scopes = [Scope::Read, Scope::Admin, Scope::Read].into_iter().collect();
        let has: Vec<&str> = Scope::ALL.into_iter().filter(|s| scopes.has(*s)).map(Scope::name).collect();
        assert_eq!(has, ["read", "admin"]);
        assert_eq!("write".parse(), Ok(Scope::Write));
        assert!("Write".parse::<Scope>().is_err() && "".parse::<Scope>().is_err());
    }
}
