//! The models that serve: the champions, refreshed from the store, and other versions on demand.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, RwLock},
};

use tally_model::{artifact::Artifact, scoring::Scorer, spec::Target};

use crate::{
    platform::error::{Error, Result},
    platform::metrics::Metrics,
    scoring::score::run_blocking,
};
use tally_store::{Store, StoredModel};

/// Versions other than champions that are kept ready at most.
const OTHERS: usize = 16;

/// A version of a target's model: `churn/7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelName {
    /// What it foretells.
    pub target: Target,
    /// 1, 2, 3, …
    pub version: i64,
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.target.name(), self.version)
    }
}

impl ModelName {
    /// Reads `churn/7`; None when it is not of that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (target, version) = text.split_once('/')?;
        let target = Target::ALL.into_iter().find(|known| known.name() == target)?;
        let digits = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        let version = version.parse().ok().filter(|version| digits && *version > 0)?;
        Some(Self { target, version })
    }
}

/// A model, ready to score.
#[derive(Debug)]
pub struct Model {
    /// Its version.
    pub name: ModelName,
    /// Scores.
    pub scorer: Scorer,
}

impl Model {
    /// Validates a stored model and makes it ready.
    ///
    /// # Errors
    /// When the artifact is damaged or is about another target.
    pub fn load(stored: &StoredModel) -> Result<Self> {
        let artifact = Artifact::from_bytes(&stored.artifact)?;
        if artifact.outcome.target != stored.target {
            return Err(Error::Internal(format!(
                "{}/{} is about {}",
                stored.target, stored.version, artifact.outcome.target
            )));
        }
        let name = ModelName { target: stored.target, version: stored.version };
        Ok(Self { name, scorer: Scorer::new(artifact)? })
    }

    /// The same off the async workers: an artifact may be large.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub async fn load_on_blocking_pool(stored: StoredModel) -> Result<Self> {
        run_blocking(move || Self::load(&stored)).await?
    }
}

/// The models that serve.
pub struct Models {
    store: Arc<dyn Store>,
    champions: RwLock<HashMap<Target, Arc<Model>>>,
    others: RwLock<HashMap<ModelName, Arc<Model>>>,
    metrics: Arc<Metrics>,
    /// Champions that cannot be read, as was logged and counted.
    unreadable: RwLock<HashMap<Target, ModelName>>,
    /// Held by whoever refreshes: what was read first must not be taken over last.
    refreshing: tokio::sync::Mutex<()>,
}

impl Models {
    /// No champion is known before the first [`Models::refresh`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            champions: RwLock::default(),
            others: RwLock::default(),
            metrics,
            unreadable: RwLock::default(),
            refreshing: tokio::sync::Mutex::default(),
        }
    }

    /// Takes over champions that were promoted since the last look. A champion that cannot be read
    /// is logged once, and the one before goes on serving.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn refresh(&self) -> Result<()> {
        let _only_one = self.refreshing.lock().await;
        for target in Target::ALL {
            let Some(version) = self.store.champion(target).await? else { continue };
            let name = ModelName { target, version };
            if self.known_champion(target).is_some_and(|known| known.name == name) {
                write(&self.unreadable).remove(&target);
                continue;
            }
            match self.load(name).await {
                Ok(model) => {
                    tracing::info!(model = %name, "new champion");
                    self.metrics.champion(name);
                    write(&self.champions).insert(target, model);
                    write(&self.unreadable).remove(&target);
                }
                Err(error @ Error::Unavailable(_)) => return Err(error),
                // It is tried again at the next look: whoever repairs it need not restart anything.
                Err(error) => {
                    if write(&self.unreadable).insert(target, name) != Some(name) {
                        tracing::error!(model = %name, %error, "the champion cannot be read; the one before serves on");
                        self.metrics.refused(target);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether any target has a champion.
    #[must_use]
    pub fn any_champion(&self) -> bool {
        !read(&self.champions).is_empty()
    }

    /// The champions that serve, at most one a target.
    #[must_use]
    pub fn champions(&self) -> Vec<Arc<Model>> {
        Target::ALL.into_iter().filter_map(|target| self.known_champion(target)).collect()
    }

    fn known_champion(&self, target: Target) -> Option<Arc<Model>> {
        read(&self.champions).get(&target).cloned()
    }

    /// The champion of `target`.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (NO_CHAMPION) when none was promoted yet, or none that can be read.
    pub async fn champion(&self, target: Target) -> Result<Arc<Model>> {
        if let Some(known) = self.known_champion(target) {
            return Ok(known);
        }
        // One that cannot be read is not read again for every request.
        if !read(&self.unreadable).contains_key(&target) {
            self.refresh().await?;
        }
        self.known_champion(target).ok_or_else(|| Error::Precondition {
            reason: "NO_CHAMPION",
            message: match read(&self.unreadable).get(&target) {
                Some(name) => format!("the champion {name} cannot be read; roll back or promote another"),
                None => format!("no {target} model serves yet; train one with `tally-train {target}`"),
            },
        })
    }

    /// A certain version.
    ///
    /// # Errors
    /// NOT_FOUND (MODEL_NOT_FOUND) when it is not stored.
    pub async fn version(&self, name: ModelName) -> Result<Arc<Model>> {
        let champion = self.known_champion(name.target).filter(|champion| champion.name == name);
        if let Some(known) = champion.or_else(|| read(&self.others).get(&name).cloned()) {
            return Ok(known);
        }
        let model = self.load(name).await?;
        let mut others = write(&self.others);
        if others.len() >= OTHERS {
            others.clear();
        }
        others.insert(name, Arc::clone(&model));
        Ok(model)
    }

    async fn load(&self, name: ModelName) -> Result<Arc<Model>> {
        let stored = self.store.model(name.target, name.version).await?;
        let stored = stored.ok_or_else(|| Error::unknown_model(&name.to_string()))?;
        Ok(Arc::new(Model::load_on_blocking_pool(stored).await?))
    }
}

/// A map of immutable models is whole whenever its lock is free, also after a panic elsewhere.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
