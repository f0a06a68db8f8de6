//! Checks of what is stored: structure, models and histories for `tally-serve --check`, and the structure at every start.

use std::{sync::Arc, time::Duration};

use tally_model::{counted, spec::Target};
use tally_store::{Store, StructureReport};

use crate::{
    catalog::{self, ModelName},
    histories::scan::{CustomerScan, Partition, par_chunks},
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
};

/// How long the check at a start may take; what it does not reach is left to `tally-serve --check`.
const AT_START: Duration = Duration::from_secs(1);
/// Stored models that are in memory at a time; their artifacts are large.
const MODELS: usize = 4;
/// Problems of a kind that are named; the others are counted.
const NAMED: usize = 5;

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedPart {
    /// What was looked at, such as `5 models`.
    pub part: String,
    /// What is wrong, for people to read; at most a few. Empty when nothing is.
    pub problems: Vec<String>,
}

/// Checks the structure of the database, that every model can be read, and the history of every customer.
///
/// # Errors
/// When the store fails.
pub async fn check(store: &Arc<dyn Store>) -> Result<Vec<CheckedPart>> {
    let StructureReport { problems, .. } = store.check_structure(None).await?;
    let structure = CheckedPart { part: "the structure of the database".to_owned(), problems };
    // What is read through a damaged structure proves nothing.
    if !structure.problems.is_empty() {
        return Ok(vec![structure]);
    }
    Ok(vec![structure, check_models(&**store).await?, check_histories(store).await?])
}

/// Checks at a start what can be checked in a second.
///
/// # Errors
/// FAILED_PRECONDITION (DAMAGED_DATABASE) when it is damaged; when the store fails.
pub async fn check_at_start(store: &dyn Store) -> Result<()> {
    let StructureReport { problems, complete } = store.check_structure(Some(AT_START)).await?;
    if !problems.is_empty() {
        let message = format!("the database is damaged; restore a backup: {}", problems.join("; "));
        return Err(Error::Precondition { reason: "DAMAGED_DATABASE", message });
    }
    if !complete {
        tracing::info!(
            "the structure of the database is too large to be checked within {AT_START:?}; tally-serve --check does so"
        );
    }
    Ok(())
}

async fn check_models(store: &dyn Store) -> Result<CheckedPart> {
    let (mut read, mut problems, mut after) = (0, Problems::default(), None);
    loop {
        let models = store.models(None, after, MODELS).await?;
        let Some(last) = models.last() else { break };
        after = Some((last.target, last.version));
        read += models.len();
        let found = run_blocking(move || {
            let problem = |model| catalog::Model::new(model).err().map(|error| error.to_string());
            models.iter().filter_map(problem).collect::<Vec<String>>()
        });
        found.await?.into_iter().for_each(|problem| problems.add(problem));
    }
    for target in Target::ALL {
        if let Some(version) = store.champion(target).await?
            && store.model(target, version).await?.is_none()
        {
            problems.add(format!("the champion {} is not stored", ModelName { target, version }));
        }
    }
    Ok(CheckedPart { part: counted(read, "model", "models"), problems: problems.named() })
}

async fn check_histories(store: &Arc<dyn Store>) -> Result<CheckedPart> {
    let mut scan = CustomerScan::new(Arc::clone(store), Partition::WHOLE);
    let (mut customers, mut problems) = (0, Problems::default());
    loop {
        let page = match scan.next().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            // Nothing behind it can be read.
            Err(Error::Internal(problem)) => {
                problems.add(format!(
                    "the histories after the first {}: {problem}",
                    counted(customers, "customer", "customers")
                ));
                break;
            }
            Err(error) => return Err(error),
        };
        customers += page.customers;
        let found = run_blocking(move || {
            par_chunks(&page.histories, |histories| {
                let problem = |(id, history): &(String, tally_model::history::Packed)| {
                    let error = history.with(|_| ()).err()?;
                    Some(format!("the history of customer `{id}`: {error}"))
                };
                histories.iter().filter_map(problem).collect::<Vec<String>>()
            })
        });
        found.await?.into_iter().flatten().for_each(|problem| problems.add(problem));
    }
    let part = format!("the histories of {}", counted(customers, "customer", "customers"));
    Ok(CheckedPart { part, problems: problems.named() })
}

/// Problems of a kind.
#[derive(Default)]
struct Problems {
    first: Vec<String>,
    more: usize,
}

impl Problems {
    fn add(&mut self, problem: String) {
        if self.first.len() < NAMED { self.first.push(problem) } else { self.more += 1 }
    }

    fn named(self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        self.first.into_iter().chain(more).collect()
    }
}
