//! The demo: a simulated business, both models, and all customers scored. What it shows comes from
//! [`tally_model::simulate`] and is called simulated wherever it appears.

use std::{env::consts::EXE_SUFFIX, fmt::Write, path::Path, sync::Arc};

use tally_model::{
    artifact::SplitKind,
    history::Attributes,
    insight::{LifeCycle, WorkKind},
    simulate::{Business, SimulatedCustomer},
    spec::{Spec, Target},
    time::{DAY, Time},
    training::train::TrainingOptions,
};
use tally_store::{InsightFilter, Interaction, NewCustomer, OnConflict, PredictionFilter};

use crate::{
    app::App,
    histories::scan::Partition,
    ingest::{Ingest, InteractionBatch},
    insight::{InsightPass, PassPurpose},
    lifecycle::training::{JobError, Promote, Trainer, TrainingJob},
    platform::{
        actor,
        blocking::Cores,
        error::{Error, Result},
        progress::{ProgressListener, ProgressStep},
    },
    scoring::Predictions,
};

/// The setting that marks a database as simulated.
const MARK: &str = "demo";
/// Where the client looks for a server by itself.
const DEFAULT_URL: &str = "http://127.0.0.1:50051";
/// The seed of the simulated business.
const SEED: u64 = 7;
/// Customers that are stored at a time.
const BATCH: usize = 500;
/// How long ago the worklist was handed out.
const PUBLISHED_DAYS_AGO: i64 = 92;

/// What the demo made, for its banner.
pub struct DemoSummary {
    /// The number of customers.
    pub customers: u64,
    /// A lead and a customer worth asking for.
    pub examples: [Option<String>; 2],
}

/// Fills an empty database, trains the models that have no champion, and scores all customers.
///
/// # Errors
/// FAILED_PRECONDITION when the database holds anything but a demo; otherwise when the store or a
/// training fails.
pub async fn prepare(
    app: &App,
    customers: u32,
    progress: &ProgressListener,
) -> Result<DemoSummary, JobError> {
    fill(app, customers, progress).await?;
    for target in Target::ALL {
        if app.store.champion(target).await?.is_none() {
            train(app, target, progress).await?;
        }
    }
    publish_worklist(app, progress).await?;
    refresh_insights(app, progress).await?;
    progress(ProgressStep::End);
    let lead = example(&app.predictions, Target::Lead).await?;
    let customer = example(&app.predictions, Target::Churn).await?;
    Ok(DemoSummary { customers: app.ingest.count_customers().await?, examples: [lead, customer] })
}

async fn train(app: &App, target: Target, progress: &ProgressListener) -> Result<(), JobError> {
    let job = TrainingJob {
        target,
        as_of: app.clock.now(),
        spec: Spec::default(),
        options: TrainingOptions { split: SplitKind::Temporal, seed: SEED },
        promote: Promote::Auto,
        partition: Partition::WHOLE,
        by: Vec::new(),
    };
    let trainer = Trainer {
        store: Arc::clone(&app.store),
        clock: Arc::clone(&app.clock),
        actor: actor::of_this_process(),
        progress: Arc::clone(progress),
        cores: Cores::all(),
    };
    trainer.train(job, None).await?;
    Ok(())
}

/// Hands out the worklist of so long ago that its time is over, so that there is an effect to see. A demo that is
/// started again keeps it.
async fn publish_worklist(app: &App, progress: &ProgressListener) -> Result<()> {
    let as_of = app.clock.now().plus_days(-PUBLISHED_DAYS_AGO);
    progress(ProgressStep::Begin("handing out a worklist".to_owned(), 1));
    let kinds = WorkKind::ALL.into_iter().collect();
    app.insights.publish_worklist(kinds, Some(as_of), false, &actor::of_this_process()).await?;
    progress(ProgressStep::Done(1));
    Ok(())
}

/// Scores all customers with both champions, and stores their facts.
async fn refresh_insights(app: &App, progress: &ProgressListener) -> Result<()> {
    let total = app.ingest.count_customers().await?;
    progress(ProgressStep::Begin("scoring all customers".to_owned(), total));
    let mut pass = InsightPass::start(&app.insights, app.clock.now(), PassPurpose::Refresh).await?;
    while let Some(step) = pass.next().await? {
        progress(ProgressStep::Done(step.done));
    }
    Ok(())
}

/// Stores the simulated business, or what an interrupted demo has left of it: storing the same content
/// again changes nothing.
async fn fill(app: &App, customers: u32, progress: &ProgressListener) -> Result<()> {
    let before = app.ingest.count_customers().await?;
    let today = app.clock.now().day_number() * DAY;
    let content = format!("{customers} customers, seed {SEED}, until {today}");
    let mark = if before == 0 { content.as_bytes() } else { b"" };
    let marked = app.store.setting(MARK, mark, None).await?;
    if marked.is_empty() {
        return Err(Error::Precondition {
            reason: "NOT_A_DEMO",
            message: "the database holds customers that are not simulated; --demo needs an empty one"
                .to_owned(),
        });
    }
    let (customers, end) = read_mark(&String::from_utf8_lossy(&marked))?;
    // The last batch of an interrupted demo may lack its interactions.
    let start = (before as usize).min(customers).saturating_sub(BATCH);
    let business = Business { customers, ..Business::new(SEED, end) };
    progress(ProgressStep::Begin("simulating a business".to_owned(), customers as u64));
    let mut batch = Vec::with_capacity(BATCH);
    for n in start..customers {
        batch.push(business.customer(n));
        if batch.len() == BATCH || n + 1 == customers {
            store_batch(&app.ingest, std::mem::take(&mut batch)).await?;
            progress(ProgressStep::Done(n as u64 + 1));
        }
    }
    Ok(())
}

/// The number of customers and the end of the simulated time, from the mark of a demo.
fn read_mark(mark: &str) -> Result<(usize, Time)> {
    let mut numbers = mark.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut next = || numbers.next().and_then(|number| number.parse::<i64>().ok());
    match (next(), next(), next()) {
        (Some(customers), Some(_), Some(end)) => Ok((customers as usize, Time(end))),
        _ => Err(Error::Internal(format!("the mark of the demo reads `{mark}`"))),
    }
}

async fn store_batch(ingest: &Ingest, batch: Vec<SimulatedCustomer>) -> Result<()> {
    let customer = |customer: &SimulatedCustomer| NewCustomer {
        customer_id: customer.customer_id.clone(),
        name: Some(customer.name.clone()),
        create_time: Some(customer.create_time),
        attributes: Attributes::clone(&customer.attributes),
    };
    // Storing interactions first would create the customers without their attributes.
    ingest.upsert_customers(ingest.begin(), batch.iter().map(customer).collect(), Vec::new()).await?;
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
    let batch = InteractionBatch::new(interactions.collect(), true, OnConflict::Fail);
    ingest.record_interactions(ingest.begin(), batch).await?;
    Ok(())
}

/// The customer with the greatest probability of those who are not lost: who is likely to leave has not left yet.
async fn example(predictions: &Predictions, target: Target) -> Result<Option<String>> {
    let stages = LifeCycle::ALL.into_iter().filter(|stage| *stage != LifeCycle::Lost);
    let life_cycles = stages.map(|stage| stage.name().to_owned()).collect();
    let insights = InsightFilter { life_cycles, ..InsightFilter::default() };
    let filter = PredictionFilter { insights, ..PredictionFilter::latest(target) };
    let filter = predictions.checked(&filter, None).await?;
    Ok(predictions.list(&filter, None, 1).await?.pop().map(|(prediction, _)| prediction.customer_id))
}

/// How to call another program, by how this one was called: by its name where `own` has no folder, by its path in the
/// same folder, or by cargo where it is not built.
#[must_use]
pub fn program(name: &str, own: &Path) -> String {
    let folder = own.parent().unwrap_or(Path::new(""));
    let path = folder.join(name);
    if folder.as_os_str().is_empty() || folder.join(format!("{name}{EXE_SUFFIX}")).exists() {
        path.display().to_string()
    } else {
        format!("cargo run -q --release --bin {name} --")
    }
}

/// The banner: what the demo is, and what to try next at this URL, by programs that are called as `own` was.
#[must_use]
pub fn banner(demo: &DemoSummary, own: &Path, url: &str, database: &str) -> String {
    let mut text = format!(
        "\nThis is a demo: its {} customers are simulated; none of them exists.\n\n\
         Both models are trained and everybody is scored. Try, in another terminal:\n\n",
        demo.customers
    );
    let server = if url == DEFAULT_URL { String::new() } else { format!(" --server {url}") };
    let [lead, customer] = &demo.examples;
    let mut line = |command: &str, what: &str| {
        let _ = writeln!(text, "  {command:<72} # {what}");
    };
    let tally = format!("{}{server}", program("tally", own));
    line(&format!("{tally} predictions churn"), "who is likeliest to leave, and why");
    line(&format!("{tally} predictions lead"), "who is likeliest to buy");
    if let Some(id) = customer {
        line(&format!("{tally} score churn {id}"), "one customer, as of now");
    }
    if let Some(id) = lead {
        line(&format!("{tally} score lead {id}"), "one lead, as of now");
    }
    line(&format!("{tally} models show churn"), "what the model learned, and how well it holds");
    line(&format!("{tally} insights segments abc"), "who brings what");
    line(&format!("{tally} insights kpis"), "how the business does, month by month");
    line(&format!("{tally} worklist effect"), "whether last quarter's worklist has helped");
    if let Some(id) = customer {
        line(&format!("{tally} insights customer {id}"), "all that is known of one customer");
    }
    let train = format!("{} churn --database {database}", program("tally-train", own));
    line(&train, "train again");
    let _ = write!(text, "\nAny gRPC client works, too: reflection is on. Ctrl-C ends the demo.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_called_as_this_one_was() {
        let demo = DemoSummary { customers: 20, examples: [None, Some("C7".to_owned())] };
        let shown = |own: &Path| banner(&demo, own, "http://127.0.0.1:50052", "sqlite://d.db");
        let by_name = shown(Path::new("tally-serve"));
        assert!(
            by_name.contains("\n  tally --server http://127.0.0.1:50052 insights customer C7 "),
            "{by_name}"
        );
        assert!(by_name.contains("\n  tally-train churn --database sqlite://d.db "), "{by_name}");
        assert!(!by_name.contains("cargo"), "{by_name}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        std::fs::write(folder.path().join(format!("tally{EXE_SUFFIX}")), "").unwrap();
        let by_path = shown(&folder.path().join("tally-serve"));
        assert!(by_path.contains(&format!("\n  {} --server ", path.display())), "{by_path}");
        // It is not built.
        assert!(by_path.contains("\n  cargo run -q --release --bin tally-train -- churn "), "{by_path}");
    }
}
