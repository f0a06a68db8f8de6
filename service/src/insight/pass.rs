//! A pass: the facts of all customers about one moment, and with them the scores by both champions.
//!
//! All histories are read twice, in constant memory but for a few numbers a buyer. The first time finds what is relative to
//! all customers, such as the limits of the ABC classes; the second time scores each customer, places it by these
//! limits, and stores page by page. A pass is found once it is complete.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use futures_util::{StreamExt, stream::FuturesOrdered};
use tally_model::{
    history::{Attributes, History, Packed},
    insight::{
        BuyerPurchases, Facts, FeatureCauses, InsightSpec, Likelihood, Placement, Population,
        PopulationSample, PreparedValue,
    },
    scoring::Grade,
    spec::Target,
    time::Time,
};
use tally_store::{NewPass, StoredFacts};
use tokio::{sync::OwnedMutexGuard, task::JoinHandle};
use tracing::Instrument;

use super::{Insights, worklist::work};
use crate::{
    histories::scan::{CustomerScan, Partition, for_all_customers, par_chunks},
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
    scoring::{ModelRun, STORED_AT_ONCE, STORED_REASONS, ScoreRequest, Scored, ScoredChunk},
};

/// Whom a pass is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassPurpose {
    /// For RefreshInsights: predictions are stored as those of a scored population, and the pass is kept.
    Refresh,
    /// For a list about a moment without a pass: its probabilities stay in its own rows, and it is kept for a day.
    OnDemand,
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassProgress {
    /// Customers visited; those who did not exist at the moment of the pass have no facts in it.
    pub done: u64,
    /// Customers in all; the same as `done` at the end.
    pub total: u64,
}

/// A pass that is being made.
pub struct InsightPass {
    insights: Insights,
    purpose: PassPurpose,
    pass_id: i64,
    known_at: Time,
    population: Arc<Population>,
    value: Arc<PreparedValue>,
    models: Vec<ModelRun>,
    /// One a model: the causes of the features of the one for churn.
    causes: Arc<[Option<Arc<FeatureCauses>>]>,
    scan: CustomerScan,
    /// Whether the scan has more pages.
    more: bool,
    /// The pages that are being stored.
    storing: FuturesOrdered<JoinHandle<Result<u64>>>,
    progress: PassProgress,
    over: bool,
    /// No other pass is made by this server meanwhile.
    _making: OwnedMutexGuard<()>,
}

/// The texts that differ: models that go by the same data say the same.
fn once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// What a part of a page becomes.
struct PassChunk {
    /// One a model.
    scored: Vec<ScoredChunk>,
    facts: Vec<StoredFacts>,
}

impl InsightPass {
    /// Finds what is relative to all customers at `as_of`, after the writes that were in flight when the request was
    /// made.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(insights: &Insights, as_of: Time, purpose: PassPurpose) -> Result<Self> {
        let making = Arc::clone(&insights.making).lock_owned().await;
        Self::start_with(insights, as_of, purpose, making).await
    }

    /// The same for a caller who already keeps others from making a pass.
    pub(super) async fn start_with(
        insights: &Insights,
        as_of: Time,
        purpose: PassPurpose,
        making: OwnedMutexGuard<()>,
    ) -> Result<Self> {
        let insights = &insights.patient();
        insights.catalog.refresh().await?;
        let now = insights.clock.now();
        let max_reasons = if purpose == PassPurpose::Refresh { STORED_REASONS } else { 0 };
        let models = insights.catalog.champions().into_iter();
        let models = models.map(|model| ScoreRequest::new(model, as_of, now, max_reasons));
        let run = |request| ModelRun::new(&insights.scoring, request, Partition::WHOLE);
        let models: Vec<ModelRun> = models.map(run).collect();
        if purpose == PassPurpose::Refresh {
            for model in &models {
                model.begin().await?;
            }
        }
        insights.scoring.wait_for_writes().await;
        let total = insights.store.count_customers().await?;
        let mut population = insights.population((as_of, now), Arc::clone(&insights.spec)).await?;
        population.models = models.iter().map(|model| model.request.model.name.to_string()).collect();
        let outcome = |model: &ModelRun| model.request.model.scorer.artifact().outcome.clone();
        population.outcomes = models.iter().map(outcome).collect();
        // One that takes the place of a kept one, with other definitions, is kept as well.
        let replaced = insights.store.pass_about(as_of).await?;
        let kept = purpose == PassPurpose::Refresh || replaced.is_some_and(|replaced| replaced.kept);
        let pass_id = insights.store.begin_pass(NewPass { as_of, known_at: now, kept }).await?;
        Ok(Self {
            insights: insights.clone(),
            purpose,
            pass_id,
            known_at: now,
            value: Arc::new(population.value.prepared()),
            population: Arc::new(population),
            causes: models.iter().map(|model| causes(&model.request, &insights.spec)).collect(),
            models,
            scan: CustomerScan::new(Arc::clone(&insights.store), Partition::WHOLE),
            more: true,
            storing: FuturesOrdered::new(),
            progress: PassProgress { done: 0, total },
            over: false,
            _making: making,
        })
    }

    /// Everything known at this time counts.
    #[must_use]
    pub const fn known_at(&self) -> Time {
        self.known_at
    }

    /// Whether the pass is complete.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Goes on until another page is stored. The last progress has `done = total`; then the pass is complete, and None
    /// follows.
    ///
    /// # Errors
    /// When the store fails; the pass stays incomplete, and nobody finds it.
    pub async fn next(&mut self) -> Result<Option<PassProgress>> {
        if self.over {
            return Ok(None);
        }
        while self.more && self.storing.len() < STORED_AT_ONCE {
            self.begin_page().await?;
        }
        if let Some(stored) = self.storing.next().await {
            self.progress.done +=
                stored.map_err(|error| Error::Internal(format!("storing a page panicked: {error}")))??;
            self.progress.total = self.progress.total.max(self.progress.done);
            return Ok(Some(self.progress));
        }
        // Customers may have been erased since they were counted.
        self.progress.total = self.progress.done;
        if self.purpose == PassPurpose::Refresh {
            for model in &self.models {
                model.finish(&self.insights.scored).await?;
            }
        }
        let silences = once(self.models.iter().filter_map(ModelRun::silence_text));
        Arc::make_mut(&mut self.population).silences = silences;
        let on_demand = self.purpose == PassPurpose::OnDemand;
        self.insights.store.complete_pass(self.pass_id, &self.population, on_demand).await?;
        self.over = true;
        Ok(Some(self.progress))
    }

    /// What makes a pass that is over questionable, with its remedy; empty otherwise.
    #[must_use]
    pub fn warning(&self) -> String {
        if !self.over {
            return String::new();
        }
        let (as_of, known_at) = (self.population.as_of, self.known_at);
        let ahead = (as_of > known_at).then(|| {
            format!(
                "as_of_time {as_of} is after {known_at}, the time of the server, so that this is never the latest \
                 pass; leave as_of_time out for a pass about now"
            )
        });
        let of_models = self.models.iter().map(ModelRun::warning).filter(|warning| !warning.is_empty());
        let warnings = ahead.into_iter().chain(once(of_models)).chain(self.population.range_warning());
        warnings.collect::<Vec<_>>().join("; ")
    }

    /// Scores and places the customers of a page, and begins to store them.
    async fn begin_page(&mut self) -> Result<()> {
        let Some(page) = self.scan.next().await? else {
            self.more = false;
            return Ok(());
        };
        let requests: Vec<ScoreRequest> = self.models.iter().map(|model| model.request.clone()).collect();
        let (now, known_at) = (self.insights.clock.now(), self.known_at);
        let (population, value) = (Arc::clone(&self.population), Arc::clone(&self.value));
        let (causes, customers) = (Arc::clone(&self.causes), page.customers);
        let chunks = run_blocking(move || {
            let place = |customers: &[(String, Packed)]| {
                let mut chunk = PassChunk::new(&requests, &causes);
                for (id, history) in customers {
                    let relative = (&*population, &*value, known_at);
                    history.with(|history| chunk.add(id, history, (&requests, now), relative))?;
                }
                Ok(chunk)
            };
            par_chunks(&page.histories, place).into_iter().collect::<Result<Vec<_>>>()
        });
        let (mut scored, mut facts) = (Vec::<Vec<ScoredChunk>>::new(), Vec::new());
        scored.resize_with(self.models.len(), Vec::new);
        for chunk in chunks.await?? {
            facts.extend(chunk.facts);
            for (of_model, chunk) in scored.iter_mut().zip(chunk.scored) {
                of_model.push(chunk);
            }
        }
        let mut stored = Vec::new();
        if self.purpose == PassPurpose::Refresh {
            stored.extend(self.models.iter_mut().zip(scored).map(|(model, scored)| model.store(scored)));
        } else {
            self.models.iter_mut().zip(&scored).for_each(|(model, scored)| model.observe(scored));
        }
        let (store, pass_id) = (Arc::clone(&self.insights.store), self.pass_id);
        let store = async move {
            for stored in stored {
                stored.await?;
            }
            store.insert_facts(pass_id, facts).await?;
            Ok(customers)
        };
        self.storing.push_back(tokio::spawn(store.in_current_span()));
        Ok(())
    }
}

impl PassChunk {
    fn new(requests: &[ScoreRequest], causes: &[Option<Arc<FeatureCauses>>]) -> Self {
        let scored = requests.iter().zip(causes);
        let scored = scored.map(|(request, causes)| ScoredChunk::with_causes(request, causes.as_ref()));
        Self { scored: scored.collect(), facts: Vec::new() }
    }

    /// Adds a customer: its scores, and its facts if it existed.
    fn add(
        &mut self,
        id: &str,
        history: &History,
        (requests, now): (&[ScoreRequest], Time),
        (population, value, known_at): (&Population, &PreparedValue, Time),
    ) {
        let mut scores: BTreeMap<Target, Scored> = BTreeMap::new();
        for (request, scored) in requests.iter().zip(&mut self.scored) {
            if let Some(score) = scored.add(request, id, history, now) {
                scores.insert(request.model.name.target, score);
            }
        }
        let as_of = population.as_of;
        let Some(facts) = Facts::of(history, as_of, known_at, &population.spec) else { return };
        let placement = Placement::of(history, &facts, (as_of, known_at), population);
        let attributes = history.version_at(as_of, known_at).map(|version| &version.attributes);
        let [lead, churn] = [Target::Lead, Target::Churn].map(|target| scores.get(&target).copied());
        let cause = churn.and_then(|scored| scored.cause);
        let [lead, churn] = [lead, churn].map(|scored| scored.map(|scored| scored.score));
        let buyer = BuyerPurchases::of(&facts, as_of);
        let of_buyer = buyer.and_then(|buyer| value.value(&buyer));
        let clv = match buyer {
            Some(_) => of_buyer.map(|of_buyer| of_buyer.clv),
            None => population.value.lead_clv(lead.map(|lead| lead.probability)),
        };
        let clv = clv.map(|clv| clv.round() as i64);
        let likelihood = Likelihood {
            churn: churn.map(|score| score.probability),
            is_worst_churn: churn.is_some_and(|score| score.grade == Grade::D),
            is_best_lead: lead.is_some_and(|score| score.grade == Grade::A),
        };
        let work = work(id, (&facts, &placement, attributes), (likelihood, cause), clv, population);
        self.facts.push(StoredFacts {
            customer_id: id.to_owned(),
            rfm_segment: placement.rfm_segment(population).to_owned(),
            recency_days: facts.purchases.map(|purchases| purchases.recency_days(as_of)),
            attributes: attributes.map_or_else(|| "{}".to_owned(), texts),
            lead,
            churn,
            churn_cause: cause,
            p_alive: of_buyer.map(|of_buyer| of_buyer.p_alive),
            expected_purchases: of_buyer.map(|of_buyer| of_buyer.expected_purchases),
            clv,
            work,
            facts,
            placement,
        });
    }
}

/// The causes of the features of a model for churn.
fn causes(request: &ScoreRequest, spec: &InsightSpec) -> Option<Arc<FeatureCauses>> {
    let is_churn = request.model.name.target == Target::Churn;
    let artifact = request.model.scorer.artifact();
    let measures = artifact.encoder.features.iter().map(|feature| &feature.measure);
    let raw = artifact.plan.measures();
    is_churn.then(|| Arc::new(FeatureCauses::new(measures, &raw, &spec.contact_kinds)))
}

/// Attributes as a JSON object of texts.
fn texts(attributes: &Attributes) -> String {
    let texts: serde_json::Map<_, _> =
        attributes.iter().map(|(name, value)| (name.clone(), value.to_string().into())).collect();
    serde_json::Value::from(texts).to_string()
}

impl Insights {
    /// Reads all histories for what is relative to all customers at `as_of`, by what is known at `known_at`.
    pub(super) async fn population(
        &self,
        (as_of, known_at): (Time, Time),
        spec: Arc<InsightSpec>,
    ) -> Result<Population> {
        let of_part = Arc::clone(&spec);
        let part = move |customers: &[(String, Packed)]| sample_part(customers, (as_of, known_at), &of_part);
        let mut sample = PopulationSample::default();
        for_all_customers(&self.store, part, |part| sample.merge(part)).await?;
        // Fitting the value model takes a while.
        run_blocking(move || {
            let begun = Instant::now();
            let mut population = sample.population(as_of, &spec);
            population.fit_seconds = begun.elapsed().as_secs_f64();
            Ok(population)
        })
        .await?
    }
}

fn sample_part(
    customers: &[(String, Packed)],
    (as_of, known_at): (Time, Time),
    spec: &InsightSpec,
) -> Result<PopulationSample> {
    let mut sample = PopulationSample::default();
    for (_, history) in customers {
        history.with(|history| {
            if let Some(facts) = Facts::of(history, as_of, known_at, spec) {
                let version = history.version_at(as_of, known_at);
                sample.add(&facts, version.map(|version| &version.attributes), as_of, spec);
            }
        })?;
    }
    Ok(sample)
}
