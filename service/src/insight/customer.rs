//! All that is known of one customer at a moment.

use std::sync::Arc;

use tally_model::{
    history::{AttributeValue, Attributes, Packed, kind},
    insight::{
        BuyerPurchases, CustomerValue, Facts, NextToBuy, Placement, Population, ValueModel, is_held_out,
        next_care_time,
    },
    spec::Target,
    time::Time,
};
use tally_store::{Contact, Customer, Pass, Prediction};

use super::Insights;
use crate::{
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
    scoring::ScoreRequest,
};

/// Reasons of a score.
const REASONS: usize = 3;
/// Stored predictions that are shown.
const SCORE_HISTORY: usize = 24;
/// Contacts that are shown, and open complaints.
const CONTACTS: usize = 10;
/// Referred customers whose histories are held at a time.
const REFERRED_AT_ONCE: usize = 100;
/// The attribute with what a customer spends in a year, with others as well, in minor units.
const WALLET_MINOR: &str = "wallet_minor";

/// All that is known of one customer at a moment.
pub struct CustomerInsight {
    /// The customer.
    pub customer: Customer,
    /// Its facts.
    pub facts: Facts,
    /// Where it stands; without a pass, its ABC class, RFM scores and value mean nothing.
    pub placement: Placement,
    /// The pass with which it is compared, the latest one up to the moment.
    pub pass: Option<Pass>,
    /// The name of its RFM segment.
    pub rfm_segment: String,
    /// What it will bring, by the value model of the pass.
    pub value: Value,
    /// How many of the customers that it referred have bought.
    pub referrals_bought: u64,
    /// Its net revenue of a year by what it spends in one.
    pub share_of_wallet: Option<f64>,
    /// The share of the common attributes that it has.
    pub completeness: Option<f64>,
    /// Those that it does not have.
    pub missing_attributes: Vec<String>,
    /// Its scores by the champions.
    pub scores: Vec<Prediction>,
    /// Its stored predictions about moments up to this one, the latest first.
    pub score_history: Vec<Prediction>,
    /// The last contacts, the latest first.
    pub contacts: Vec<Contact>,
    /// The complaints that no resolution has followed, the latest first.
    pub open_complaints: Vec<Contact>,
    /// What it is likely to buy next, the likeliest first; nothing without a pass.
    pub next_to_buy: Vec<NextToBuy>,
    /// Its next care date.
    pub next_care: Option<Time>,
    /// Whether it is held out from the worklist.
    pub held_out: bool,
}

/// What a customer will bring within the horizon; absent without a pass or a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Value {
    /// The probability that a buyer will ever buy again, and the purchase days to be expected of it.
    pub of_buyer: Option<CustomerValue>,
    /// The lifetime value.
    pub clv: Option<f64>,
    /// The 95 % interval of what a buyer will bring.
    pub interval: Option<[f64; 2]>,
}

impl Value {
    fn new(facts: &Facts, lead: Option<f64>, as_of: Time, model: &ValueModel) -> Self {
        let Some(buyer) = BuyerPurchases::of(facts, as_of) else {
            return Self { clv: model.lead_clv(lead), ..Self::default() };
        };
        let of_buyer = model.value(&buyer);
        Self { of_buyer, clv: of_buyer.map(|of_buyer| of_buyer.clv), interval: model.interval(&buyer) }
    }
}

/// What follows from a customer's history.
struct Known {
    facts: Facts,
    placement: Placement,
    attributes: Attributes,
    scores: Vec<Prediction>,
}

impl Insights {
    /// All that is known of a customer at `as_of`.
    ///
    /// # Errors
    /// NOT_FOUND (CUSTOMER_NOT_FOUND) when it is not stored; FAILED_PRECONDITION (NOT_YET_A_CUSTOMER) when it did not
    /// exist then; when the store fails.
    pub async fn customer(&self, customer_id: &str, as_of: Time) -> Result<CustomerInsight> {
        let known_at = self.clock.now();
        let unknown = || Error::unknown_customer(customer_id);
        let customer = self.store.customer(customer_id).await?.ok_or_else(unknown)?;
        let id = customer.customer_id.clone();
        let pass = self.store.latest_pass(as_of).await?;
        let nobody = || Population::nobody(as_of, &self.spec);
        let population = pass.as_ref().map_or_else(nobody, |pass| pass.population.clone());
        let known = self.known(customer_id, &id, (as_of, known_at), &population).await?;
        let Known { facts, placement, attributes, scores } = known;
        let lead = scores.iter().find(|score| score.target == Target::Lead).map(|score| score.probability);
        let value = pass.as_ref().map(|pass| Value::new(&facts, lead, as_of, &pass.population.value));
        let (completeness, missing_attributes) = match &pass {
            Some(_) => completeness(&attributes, &population),
            None => (None, Vec::new()),
        };
        let rules = &population.spec.worklist;
        let first_purchase = facts.purchases.map(|purchases| purchases.first_purchase);
        Ok(CustomerInsight {
            next_to_buy: self.next_of(&id, &facts, pass.as_ref(), as_of).await?,
            next_care: next_care_time(Some(&attributes), &rules.care_dates, first_purchase, as_of),
            held_out: is_held_out(rules.holdout_share, &rules.holdout_salt, &id),
            referrals_bought: self.referrals_bought(&id, as_of, known_at).await?,
            share_of_wallet: share_of_wallet(&facts, &attributes, &population),
            completeness,
            missing_attributes,
            score_history: self.store.predictions_until(&id, as_of, SCORE_HISTORY).await?,
            contacts: self.last_contacts(&id, &population.spec.contact_kinds, as_of).await?,
            open_complaints: self.open_complaints(&id, &facts, as_of).await?,
            rfm_segment: placement.rfm_segment(&population).to_owned(),
            value: value.unwrap_or_default(),
            customer,
            facts,
            placement,
            pass,
            scores,
        })
    }

    /// What follows from the history of a customer, who was asked for by an id that may be merged into its own.
    async fn known(
        &self,
        customer_id: &str,
        id: &str,
        (as_of, known_at): (Time, Time),
        population: &Population,
    ) -> Result<Known> {
        let unknown = || Error::unknown_customer(customer_id);
        let history = self.store.histories(&[id.to_owned()]).await?.pop().flatten().ok_or_else(unknown)?;
        let requests = self.score_requests(as_of, known_at).await?;
        history.with(|history| {
            let facts = Facts::of(history, as_of, known_at, &population.spec);
            let facts = facts.ok_or_else(|| not_yet(customer_id, as_of))?;
            let placement = Placement::of(history, &facts, (as_of, known_at), population);
            let version = history.version_at(as_of, known_at);
            let attributes = version.map(|version| version.attributes.clone()).unwrap_or_default();
            let mut scores = Vec::new();
            for request in &requests {
                match request.score(id.to_owned(), history) {
                    Ok(score) => scores.push(score),
                    // It is not of those whom the model is about.
                    Err(Error::Precondition { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Known { facts, placement, attributes, scores })
        })?
    }

    /// The complaints that no resolution has followed.
    async fn open_complaints(&self, id: &str, facts: &Facts, as_of: Time) -> Result<Vec<Contact>> {
        if facts.complaints_open == 0 {
            return Ok(Vec::new());
        }
        let kinds = [kind::COMPLAINT.to_owned()];
        Ok(self.store.contacts(id, &kinds, (facts.last_resolution, as_of), CONTACTS).await?)
    }

    /// What the customer may buy next. Who has bought nothing is not asked about: nothing follows from that.
    async fn next_of(
        &self,
        id: &str,
        facts: &Facts,
        pass: Option<&Pass>,
        as_of: Time,
    ) -> Result<Vec<NextToBuy>> {
        let Some(pass) = pass.filter(|_| facts.purchases.is_some()) else { return Ok(Vec::new()) };
        Ok(self.next_to_buy(pass, &[id.to_owned()], as_of).await?.remove(id).unwrap_or_default())
    }

    async fn score_requests(&self, as_of: Time, now: Time) -> Result<Vec<ScoreRequest>> {
        self.catalog.refresh().await?;
        let champions = self.catalog.champions().into_iter();
        Ok(champions.map(|model| ScoreRequest::new(Arc::clone(&model), as_of, now, REASONS)).collect())
    }

    async fn last_contacts(&self, id: &str, kinds: &[String], as_of: Time) -> Result<Vec<Contact>> {
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.store.contacts(id, kinds, (None, as_of), CONTACTS).await?)
    }

    /// How many of those whom the customer has referred bought up to `as_of`.
    async fn referrals_bought(&self, id: &str, as_of: Time, known_at: Time) -> Result<u64> {
        let referred = self.store.referred_customers(id, as_of).await?;
        let mut referred = self.histories.survivors(referred);
        referred.sort_unstable();
        referred.dedup();
        let mut bought = 0;
        for ids in referred.chunks(REFERRED_AT_ONCE) {
            let histories = self.store.histories(ids).await?;
            bought += run_blocking(move || buyers(histories, as_of, known_at)).await??;
        }
        Ok(bought)
    }
}

/// How many customers bought up to `as_of`.
fn buyers(histories: Vec<Option<Packed>>, as_of: Time, known_at: Time) -> Result<u64> {
    let mut buyers = 0;
    for history in histories.into_iter().flatten() {
        buyers += u64::from(history.with(|history| history.has(kind::PURCHASE, None, as_of, known_at))?);
    }
    Ok(buyers)
}

fn not_yet(customer_id: &str, as_of: Time) -> Error {
    Error::Precondition {
        reason: "NOT_YET_A_CUSTOMER",
        message: format!("nothing of customer `{customer_id}` had happened by {as_of}; ask for a later time"),
    }
}

/// The share of the common attributes that a customer has, and those that it does not have.
fn completeness(attributes: &Attributes, population: &Population) -> (Option<f64>, Vec<String>) {
    let common: Vec<&str> = population.common_attributes().collect();
    let missing: Vec<String> = common
        .iter()
        .filter(|name| !attributes.contains_key(**name))
        .map(|name| (*name).to_owned())
        .collect();
    let carried = (common.len() - missing.len()) as f64;
    ((!common.is_empty()).then(|| carried / common.len() as f64), missing)
}

/// The net revenue of a year, from that of the window, by the attribute with what the customer spends in one.
fn share_of_wallet(facts: &Facts, attributes: &Attributes, population: &Population) -> Option<f64> {
    match attributes.get(WALLET_MINOR) {
        Some(AttributeValue::Number(wallet)) if *wallet > 0.0 => {
            let years = f64::from(population.spec.window_days) / 365.0;
            Some(facts.window.net() as f64 / years / wallet)
        }
        _ => None,
    }
}
