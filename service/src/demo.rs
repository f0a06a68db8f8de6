//! The demo: a simulated business, both models, everybody scored. What it shows comes from
//! [`tally_model::simulate`] and is said to be simulated wherever it appears.

use std::{fmt::Write, sync::Arc};

use tally_model::{
    history::Attributes,
    simulate::{Business, SimulatedCustomer},
    spec::{Spec, Target},
    time::{DAY, Time},
    training::snapshot::SplitKind,
    training::train::Options,
};

use crate::{
    app::App,
    histories::scan::Partition,
    lifecycle::training::{self, JobError, Listener, Promote, Step, TrainingJob},
    platform::error::{Error, Result},
    scoring::population::Population,
    scoring::score::ScoreRequest,
};
use tally_store::{Interaction, NewCustomer, PredictionFilter, PredictionOrder, Store};

/// The setting that marks a database as simulated.
const MARK: &str = "demo";
/// The seed of the simulated business.
const SEED: u64 = 7;
/// Customers that are stored at a time.
const BATCH: usize = 500;
/// Reasons that are stored with a prediction.
const REASONS: usize = 3;

/// What the demo made, for the banner.
pub struct DemoSummary {
    /// Whether the database was filled just now, rather than found filled.
    pub fresh: bool,
    /// Customers in it.
    pub customers: u64,
    /// A lead and a customer worth asking for.
    pub examples: [Option<String>; 2],
}

/// Fills an empty database, trains what has no champion, scores everybody.
///
/// # Errors
/// FAILED_PRECONDITION when the database holds anything but a demo; otherwise when the store or the
/// training fails.
pub async fn prepare(app: &Arc<App>, customers: u32, listener: &Listener) -> Result<DemoSummary, JobError> {
    let now = app.now();
    let today = now.day_number() * DAY;
    let fresh = fill(&*app.store, today, customers, now, listener).await?;
    for target in Target::ALL {
        if app.store.champion(target).await?.is_none() {
            let options = Options { split: SplitKind::Temporal, seed: SEED };
            let spec = Spec::default();
            let order = TrainingJob {
                target,
                as_of: now,
                spec,
                options,
                promote: Promote::Auto,
                part: Partition::WHOLE,
            };
            training::run(&app.store, order, None, app.clock, Arc::clone(listener)).await?;
        }
        let model = app.models.champion(target).await?;
        let now = app.now();
        let request = ScoreRequest::new(model, now, now, REASONS);
        let mut population = Population::new(app, request, Partition::WHOLE).await?;
        let total = app.store.count_customers().await?;
        listener(Step::Begin(format!("scoring everybody ({target})"), total));
        while let Some(progress) = population.next().await? {
            listener(Step::Done(progress.done));
        }
    }
    listener(Step::End);
    let examples = [example(&*app.store, Target::Lead).await?, example(&*app.store, Target::Churn).await?];
    Ok(DemoSummary { fresh, customers: app.store.count_customers().await?, examples })
}

/// Stores the simulated business; false when it was there already. What a broken-off run stored is
/// the same content again, so running it again completes it.
async fn fill(store: &dyn Store, today: i64, customers: u32, now: Time, listener: &Listener) -> Result<bool> {
    let before = store.count_customers().await?;
    let content = format!("{customers} customers, seed {SEED}, until {today}");
    let mark = if before == 0 { content.as_bytes() } else { b"" };
    let marked = store.setting(MARK, mark).await?;
    if marked.is_empty() {
        return Err(Error::Precondition {
            reason: "NOT_A_DEMO",
            message: "the database holds customers that are not simulated; --demo wants an empty one"
                .to_owned(),
        });
    }
    let text = String::from_utf8_lossy(&marked);
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut next = || numbers.next().and_then(|number| number.parse::<i64>().ok());
    let (Some(customers), Some(_), Some(end)) = (next(), next(), next()) else {
        return Err(Error::Internal(format!("the mark of the demo reads `{text}`")));
    };
    let customers = customers as usize;
    // The last batch of a broken-off run may lack its interactions.
    let start = (before as usize).min(customers).saturating_sub(BATCH);
    let business = Business { customers, ..Business::new(SEED, Time(end)) };
    listener(Step::Begin("simulating a business".to_owned(), customers as u64));
    let mut batch = Vec::with_capacity(BATCH);
    for n in start..customers {
        batch.push(business.customer(n));
        if batch.len() == BATCH || n + 1 == customers {
            store_batch(store, std::mem::take(&mut batch), now).await?;
            listener(Step::Done(n as u64 + 1));
        }
    }
    Ok((before as usize) < customers)
}

async fn store_batch(store: &dyn Store, batch: Vec<SimulatedCustomer>, now: Time) -> Result<()> {
    let customer = |customer: &SimulatedCustomer| NewCustomer {
        customer_id: customer.customer_id.clone(),
        name: Some(customer.name.clone()),
        create_time: Some(customer.create_time),
        attributes: Attributes::clone(&customer.attributes),
    };
    // Interactions first would create the customers without what is stated of them.
    store.upsert_customers(batch.iter().map(customer).collect(), now).await?;
    let interactions = batch.into_iter().flat_map(|customer| {
        let customer_id = customer.customer_id;
        customer.interactions.into_iter().map(move |interaction| Interaction {
            customer_id: customer_id.clone(),
            interaction_id: interaction.interaction_id,
            kind: interaction.kind.to_owned(),
            occur_time: interaction.occur_time,
            record_time: interaction.occur_time,
            amount_minor: interaction.amount_minor,
            channel: interaction.channel.to_owned(),
            properties: interaction.properties,
        })
    });
    store.record_interactions(interactions.collect()).await?;
    Ok(())
}

/// The customer with the greatest probability.
async fn example(store: &dyn Store, target: Target) -> Result<Option<String>> {
    let filter = PredictionFilter {
        target,
        min_probability: None,
        max_probability: None,
        grades: Vec::new(),
        customer_id: None,
        model_version: None,
        latest_only: true,
        order: PredictionOrder::Probability,
    };
    Ok(store.predictions(&filter, None, 1).await?.pop().map(|prediction| prediction.customer_id))
}

/// What to try next.
#[must_use]
pub fn banner(made: &DemoSummary, address: std::net::SocketAddr, database: &str) -> String {
    let mut text = format!(
        "\nThis is a demo: its {} customers are simulated; none of them exists.\n\n\
         Both models are trained and everybody is scored. Try, in another terminal:\n\n",
        made.customers
    );
    let server = if address.port() == 50051 { String::new() } else { format!(" --server http://{address}") };
    let [lead, customer] = &made.examples;
    let mut line = |command: &str, what: &str| {
        let _ = writeln!(text, "  {command:<72} # {what}");
    };
    let tally = format!("cargo run -q --release --bin tally --{server}");
    line(&format!("{tally} predictions churn"), "who is likeliest to leave, and why");
    line(&format!("{tally} predictions lead"), "who is likeliest to buy");
    if let Some(id) = customer {
        line(&format!("{tally} score churn {id}"), "one customer, as of now");
    }
    if let Some(id) = lead {
        line(&format!("{tally} score lead {id}"), "one lead, as of now");
    }
    line(&format!("{tally} models show churn"), "what the model learned, and how well it holds");
    let train = format!("cargo run -q --release --bin tally-train -- churn --database {database}");
    line(&train, "train again");
    let _ = write!(text, "\nAny gRPC client works, too: reflection is on. Ctrl-C ends the demo.");
    text
}
