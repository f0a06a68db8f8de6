//! What both databases can say alike: the queries of [`super::Store`].
//!
//! Placeholders are `$1`; `RETURNING` and `ON CONFLICT` are common. Counts come from `RETURNING`.

use std::sync::LazyLock;

use tally_model::artifact::LARGEST;

/// The columns of `CustomerRow`; `c` is the customer.
pub(super) const CUSTOMER_COLUMNS: &str = "c.customer_id, c.name, c.create_time, \
    (SELECT v.attributes FROM customer_versions AS v WHERE v.customer_id = c.customer_id \
     ORDER BY v.version DESC LIMIT 1) AS attributes";

/// Appends `FROM … WHERE …` of a prediction filter; `k` is the table that is ordered by.
macro_rules! push_filter {
    ($query:expr, $filter:expr) => {{
        let (query, filter) = (&mut $query, $filter);
        query.push(if filter.latest_only {
            " FROM latest_predictions AS k JOIN predictions AS p \
             ON p.customer_id = k.customer_id AND p.prediction_id = k.prediction_id"
        } else {
            " FROM predictions AS k JOIN predictions AS p \
             ON p.customer_id = k.customer_id AND p.prediction_id = k.prediction_id"
        });
        // A customer has few; SQLite would rather go through all of the target, since that is in order.
        query.push(if filter.customer_id.is_some() {
            " WHERE k.target || '' = "
        } else {
            " WHERE k.target = "
        });
        query.push_bind(filter.target.name());
        if let Some(least) = filter.min_probability {
            query.push(" AND k.probability >= ").push_bind(least);
        }
        if let Some(most) = filter.max_probability {
            query.push(" AND k.probability <= ").push_bind(most);
        }
        if let Some(customer_id) = &filter.customer_id {
            query.push(" AND k.customer_id = ").push_bind(customer_id.clone());
        }
        if let Some(version) = filter.model_version {
            query.push(" AND p.model_version = ").push_bind(version);
        }
        if !filter.grades.is_empty() {
            query.push(" AND p.grade IN (");
            let mut grades = query.separated(", ");
            for grade in &filter.grades {
                grades.push_bind(grade.clone());
            }
            query.push(")");
        }
    }};
}
pub(super) use push_filter;

/// Notes whose data a transaction has written. It is the last statement before the commit, so that the
/// number of the change is not given long before the change can be seen. Ids of the same customer that
/// follow each other are noted once.
macro_rules! note_change {
    ($store:expr, $tx:expr, $ids:expr) => {{
        let mut ids: Vec<&str> = $ids.collect();
        ids.dedup();
        if !ids.is_empty() {
            sqlx::query("INSERT INTO changes (writer, customer_ids) VALUES ($1, $2)")
                .bind(&*$store.name)
                .bind(to_json(&ids)?)
                .execute(&mut *$tx)
                .await?;
        }
    }};
}
pub(super) use note_change;

/// Stores a packed history: whose, its format, its bytes.
pub(super) const PACK: &str = "INSERT INTO packed_histories (customer_id, format, history) VALUES ($1, $2, $3) \
     ON CONFLICT (customer_id) DO UPDATE SET format = excluded.format, history = excluded.history";

/// Changes that are read at a time.
pub(super) const CHANGES: usize = 1_000;

/// Implements [`super::Store`] for a store whose own file gives what differs: `begin`, `reader`,
/// the bulk statements, `packed_of`, `rows_of`, `forget_packed` and `pack_some`.
macro_rules! implement_store {
    ($store:ident, $database:ty) => {
        #[async_trait::async_trait]
        impl $crate::Store for $store {
            async fn ping(&self) -> Result<()> {
                sqlx::query("SELECT 1").execute(self.reader()).await?;
                Ok(())
            }

            async fn upsert_customers(&self, mut customers: Vec<NewCustomer>, now: Time) -> Result<()> {
                // Rows are locked in the order of their ids, so that two batches cannot lock each other out.
                customers.sort_by(|a, b| a.customer_id.cmp(&b.customer_id));
                repeatable((self.clone(), customers), move |shared| async move {
                    let (store, customers) = &*shared;
                    let mut tx = store.begin().await?;
                    let locked = store.lock_customers(&mut tx, &customers, now).await?;
                    let versions = store.latest_versions(&mut tx, &customers).await?;
                    let locked: HashMap<&str, &Locked> =
                        locked.iter().map(|row| (row.customer_id.as_str(), row)).collect();
                    let versions: HashMap<&str, &VersionRow> =
                        versions.iter().map(|row| (row.customer_id.as_str(), row)).collect();
                    let mut changes = Vec::with_capacity(customers.len());
                    for customer in customers.iter().cloned() {
                        let id = customer.customer_id.as_str();
                        let stored =
                            locked.get(id).ok_or_else(|| StoreError::Internal("an upserted row is gone".into()))?;
                        let last = versions.get(id).copied();
                        changes.push(CustomerChange::new(customer, stored, last, now));
                    }
                    store.write_changes(&mut tx, &changes).await?;
                    let news = changes.iter().filter(|change| change.version.is_some());
                    let news: Vec<&str> = news.map(|change| change.customer_id.as_str()).collect();
                    store.forget_packed(&mut tx, &news).await?;
                    let ids = customers.iter().map(|customer| customer.customer_id.as_str());
                    note_change!(store, tx, ids);
                    Ok(tx.commit().await?)
                })
                .await
            }

            async fn customer(&self, customer_id: &str) -> Result<Option<Customer>> {
                let sql = format!("SELECT {CUSTOMER_COLUMNS} FROM customers AS c WHERE c.customer_id = $1");
                let row = sqlx::query_as::<_, CustomerRow>(AssertSqlSafe(sql))
                    .bind(customer_id)
                    .fetch_optional(self.reader())
                    .await?;
                Ok(row.map(Customer::from))
            }

            async fn customers(&self, after: &str, limit: usize) -> Result<Vec<Customer>> {
                let sql = format!(
                    "SELECT {CUSTOMER_COLUMNS} FROM customers AS c WHERE c.customer_id > $1 \
                     ORDER BY c.customer_id LIMIT $2"
                );
                let rows = sqlx::query_as::<_, CustomerRow>(AssertSqlSafe(sql))
                    .bind(after)
                    .bind(limit as i64)
                    .fetch_all(self.reader())
                    .await?;
                Ok(rows.into_iter().map(Customer::from).collect())
            }

            async fn count_customers(&self) -> Result<u64> {
                let count: i64 =
                    sqlx::query_scalar("SELECT count(*) FROM customers").fetch_one(self.reader()).await?;
                Ok(count as u64)
            }

            async fn delete_customer(&self, customer_id: &str) -> Result<bool> {
                let (store, customer_id) = (self.clone(), customer_id.to_owned());
                detached(async move {
                    let mut tx = store.begin().await?;
                    let gone: Option<(String,)> = sqlx::query_as(
                        "DELETE FROM customers WHERE customer_id = $1 RETURNING customer_id",
                    )
                    .bind(&customer_id)
                    .fetch_optional(&mut *tx)
                    .await?;
                    // WriteBarrier of predictions have kept the customer until they were done.
                    sqlx::query("DELETE FROM latest_predictions WHERE customer_id = $1")
                        .bind(&customer_id)
                        .execute(&mut *tx)
                        .await?;
                    note_change!(store, tx, gone.iter().map(|(customer_id,)| customer_id.as_str()));
                    tx.commit().await?;
                    Ok(gone.is_some())
                })
                .await
            }

            async fn record_interactions(&self, interactions: Vec<Interaction>) -> Result<Recorded> {
                // To sort ten thousand keeps a core busy for milliseconds.
                let sorted = tokio::task::spawn_blocking(|| Batch::new(interactions)).await;
                let batch = sorted.map_err(|error| StoreError::Internal(error.to_string()))??;
                repeatable((self.clone(), batch), move |shared| async move {
                    let (store, batch) = &*shared;
                    let mut tx = store.begin().await?;
                    store.create_customers(&mut tx, &first_seen(&batch.items)).await?;
                    let recorded = store.insert_interactions(&mut tx, &batch.items).await?;
                    if recorded > 0 {
                        // After the rows, which have locked their customers: see the table.
                        let mut ids: Vec<&str> =
                            batch.items.iter().map(|item| item.customer_id.as_str()).collect();
                        ids.dedup();
                        store.forget_packed(&mut tx, &ids).await?;
                    }
                    let known = batch.items.len() - recorded;
                    // Those that have just been stored agree of course: it is not worth while to tell
                    // them apart.
                    if known > 0 {
                        for stored in store.stored_interactions(&mut tx, &batch.keys()).await? {
                            batch.agrees_with(&stored.into())?;
                        }
                    }
                    note_change!(store, tx, batch.items.iter().map(|item| item.customer_id.as_str()));
                    tx.commit().await?;
                    Ok(Recorded { recorded, duplicates: known + batch.repeated })
                })
                .await
            }

            async fn interactions(
                &self,
                customer_id: &str,
                after: Option<(Time, String)>,
                limit: usize,
            ) -> Result<Vec<Interaction>> {
                // As many of each sort as are wanted at most, by what has that sort in order.
                let mut query = QueryBuilder::<$database>::new("SELECT * FROM (");
                for (n, sort) in SORTS.into_iter().enumerate() {
                    query.push(if n == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" }).push(
                        "SELECT customer_id, interaction_id, kind, occur_time, record_time, amount_minor, \
                         channel, properties FROM interactions WHERE customer_id = ",
                    );
                    query.push_bind(customer_id.to_owned()).push(" AND ").push(sort);
                    if let Some((occur_time, interaction_id)) = &after {
                        query.push(" AND (occur_time, interaction_id) < (").push_bind(Stamp(*occur_time));
                        query.push(", ").push_bind(interaction_id.clone()).push(")");
                    }
                    query.push(" ORDER BY occur_time DESC, interaction_id DESC LIMIT ").push_bind(limit as i64);
                    query.push(") AS sort");
                }
                query.push(") AS sorts ORDER BY occur_time DESC, interaction_id DESC LIMIT ");
                query.push_bind(limit as i64);
                let rows: Vec<InteractionRow> = query.build_query_as().fetch_all(self.reader()).await?;
                Ok(rows.into_iter().map(Interaction::from).collect())
            }

            async fn customer_ids(&self, after: &str, limit: usize) -> Result<Vec<String>> {
                Ok(sqlx::query_scalar(
                    "SELECT customer_id FROM customers WHERE customer_id > $1 ORDER BY customer_id LIMIT $2",
                )
                .bind(after)
                .bind(limit as i64)
                .fetch_all(self.reader())
                .await?)
            }

            async fn histories(&self, customer_ids: &[String]) -> Result<Vec<Option<Packed>>> {
                let mut found = self.packed_of(customer_ids).await?;
                let others = customer_ids.iter().filter(|id| !found.contains_key(id.as_str()));
                let others: Vec<String> = others.cloned().collect();
                if !others.is_empty() {
                    let read = Self::rows_of(self.history_reader(), &others).await?;
                    found.extend(read.into_iter().map(|(id, history)| (id, history.pack())));
                }
                Ok(customer_ids.iter().map(|id| found.get(id).cloned()).collect())
            }

            async fn unpacked(&self, after: &str, limit: usize) -> Result<Vec<String>> {
                Ok(sqlx::query_scalar(
                    "SELECT customer_id FROM customers AS c WHERE customer_id > $1 AND NOT EXISTS \
                     (SELECT 1 FROM packed_histories AS p WHERE p.customer_id = c.customer_id AND p.format = $2) \
                     ORDER BY customer_id LIMIT $3",
                )
                .bind(after)
                .bind(Packed::FORMAT)
                .bind(limit as i64)
                .fetch_all(self.reader())
                .await?)
            }

            async fn pack(&self, customer_ids: Vec<String>) -> Result<usize> {
                self.pack_some(customer_ids).await
            }

            async fn insert_model(&self, model: StoredModel, evaluation: Evaluation) -> Result<i64> {
                repeatable((self.clone(), model, evaluation), |shared| async move {
                    let (store, model, evaluation) = &*shared;
                    let mut tx = store.begin().await?;
                    // Two trainers that end together take the same number; one of them tries again.
                    let version: i64 = sqlx::query_scalar(
                        "INSERT INTO models (target, version, create_time, created_by, artifact, evaluated) \
                         SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5 FROM models WHERE target = $1 \
                         RETURNING version",
                    )
                    .bind(model.target.name())
                    .bind(Stamp(model.create_time))
                    .bind(&model.created_by)
                    .bind(&model.artifact)
                    .bind(&evaluation.evaluated)
                    .fetch_one(&mut *tx)
                    .await?;
                    let ids: Vec<&str> = evaluation.scores.iter().map(|row| row.customer_id.as_str()).collect();
                    let present: HashSet<String> = store.present(&mut tx, &ids).await?.into_iter().collect();
                    let known = || evaluation.scores.iter().filter(|row| present.contains(&row.customer_id));
                    let own = known().map(|row| (row, version, row.probability));
                    let incumbent = known().filter_map(|row| Some((row, evaluation.incumbent?, row.incumbent?)));
                    let rows: Vec<(&HoldoutScore, i64, f64)> = own.chain(incumbent).collect();
                    for part in rows.chunks(HOLDOUT_ROWS) {
                        let mut query = QueryBuilder::<$database>::new(
                            "INSERT INTO holdout_scores \
                             (customer_id, target, model_version, as_of_time, label, probability) ",
                        );
                        query.push_values(part, |mut values, (row, version, probability)| {
                            values.push_bind(&row.customer_id).push_bind(model.target.name());
                            values.push_bind(*version).push_bind(Stamp(row.as_of));
                            values.push_bind(row.label).push_bind(*probability);
                        });
                        // What the champion said in its own evaluation stands.
                        query.push(" ON CONFLICT DO NOTHING").build().execute(&mut *tx).await?;
                    }
                    tx.commit().await?;
                    Ok(version)
                })
                .await
            }

            async fn models(
                &self,
                target: Option<Target>,
                after: Option<(Target, i64)>,
                limit: usize,
            ) -> Result<Vec<StoredModel>> {
                let mut query = QueryBuilder::<$database>::new(MODELS.as_str());
                query.push(" WHERE true");
                if let Some(target) = target {
                    query.push(" AND m.target = ").push_bind(target.name());
                }
                if let Some((target, version)) = after {
                    query.push(" AND (m.target > ").push_bind(target.name());
                    query.push(" OR m.target = ").push_bind(target.name());
                    query.push(" AND m.version < ").push_bind(version).push(")");
                }
                query.push(" ORDER BY m.target, m.version DESC LIMIT ").push_bind(limit as i64);
                let rows: Vec<ModelRow> = query.build_query_as().fetch_all(self.reader()).await?;
                rows.into_iter().map(StoredModel::try_from).collect()
            }

            async fn model(&self, target: Target, version: i64) -> Result<Option<StoredModel>> {
                let sql = format!("{} WHERE m.target = $1 AND m.version = $2", *MODELS);
                let row = sqlx::query_as::<_, ModelRow>(AssertSqlSafe(sql))
                    .bind(target.name())
                    .bind(version)
                    .fetch_optional(self.reader())
                    .await?;
                row.map(StoredModel::try_from).transpose()
            }

            async fn champion(&self, target: Target) -> Result<Option<i64>> {
                Ok(sqlx::query_scalar("SELECT version FROM champions WHERE target = $1")
                    .bind(target.name())
                    .fetch_optional(self.reader())
                    .await?)
            }

            async fn evaluated(&self, target: Target, version: i64) -> Result<Option<Vec<u8>>> {
                Ok(sqlx::query_scalar("SELECT evaluated FROM models WHERE target = $1 AND version = $2")
                    .bind(target.name())
                    .bind(version)
                    .fetch_optional(self.reader())
                    .await?)
            }

            async fn pairs(&self, target: Target, candidate: i64, champion: i64) -> Result<Vec<Pair>> {
                let rows: Vec<PairRow> = sqlx::query_as(
                    "SELECT a.customer_id, a.label, a.probability AS candidate, b.probability AS champion \
                     FROM holdout_scores AS a JOIN holdout_scores AS b ON b.customer_id = a.customer_id \
                     AND b.target = a.target AND b.as_of_time = a.as_of_time \
                     WHERE a.target = $1 AND a.model_version = $2 AND b.model_version = $3 \
                     ORDER BY a.customer_id, a.as_of_time",
                )
                .bind(target.name())
                .bind(candidate)
                .bind(champion)
                .fetch_all(self.reader())
                .await?;
                Ok(rows.into_iter().map(Pair::from).collect())
            }

            async fn promote(&self, promotion: Promotion) -> Result<bool> {
                let store = self.clone();
                detached(async move {
                    let mut tx = store.begin().await?;
                    let query = match promotion.from {
                        None => sqlx::query_scalar(
                            "INSERT INTO champions (target, version, promote_time) VALUES ($1, $2, $3) \
                             ON CONFLICT (target) DO NOTHING RETURNING version",
                        ),
                        Some(_) => sqlx::query_scalar(
                            "UPDATE champions SET version = $2, promote_time = $3 \
                             WHERE target = $1 AND version = $4 RETURNING version",
                        ),
                    };
                    let query =
                        query.bind(promotion.target.name()).bind(promotion.to).bind(Stamp(promotion.time));
                    let query = if let Some(from) = promotion.from { query.bind(from) } else { query };
                    let moved: Option<i64> = query.fetch_optional(&mut *tx).await?;
                    if moved.is_none() {
                        tx.rollback().await?;
                        return Ok(false);
                    }
                    // The number is taken when the champion went away and came back meanwhile.
                    let noted: Option<i64> = sqlx::query_scalar(
                        "INSERT INTO promotions (target, sequence, promote_time, who, from_version, to_version, \
                         kind, forced, reason, gate_result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
                         ON CONFLICT (target, sequence) DO NOTHING RETURNING sequence",
                    )
                    .bind(promotion.target.name())
                    .bind(promotion.sequence)
                    .bind(Stamp(promotion.time))
                    .bind(promotion.who)
                    .bind(promotion.from)
                    .bind(promotion.to)
                    .bind(promotion.kind.name())
                    .bind(promotion.forced)
                    .bind(promotion.reason)
                    .bind(promotion.gate_result)
                    .fetch_optional(&mut *tx)
                    .await?;
                    if noted.is_none() {
                        tx.rollback().await?;
                        return Ok(false);
                    }
                    tx.commit().await?;
                    Ok(true)
                })
                .await
            }

            async fn promotions(
                &self,
                target: Target,
                before: Option<i64>,
                limit: usize,
            ) -> Result<Vec<Promotion>> {
                let rows: Vec<PromotionRow> = sqlx::query_as(
                    "SELECT * FROM promotions WHERE target = $1 AND sequence < $2 \
                     ORDER BY sequence DESC LIMIT $3",
                )
                .bind(target.name())
                .bind(before.unwrap_or(i64::MAX))
                .bind(limit as i64)
                .fetch_all(self.reader())
                .await?;
                rows.into_iter().map(Promotion::try_from).collect()
            }

            async fn insert_predictions(&self, predictions: Arc<Vec<Prediction>>) -> Result<HashSet<String>> {
                repeatable((self.clone(), predictions), |shared| async move {
                    let (store, predictions) = &*shared;
                    let mut tx = store.begin().await?;
                    let mut kept: Vec<&Prediction> = predictions.iter().collect();
                    kept.sort_by_key(|prediction| prediction.customer_id.as_str());
                    let ids: Vec<&str> = kept.iter().map(|p| p.customer_id.as_str()).collect();
                    let present: HashSet<String> = store.present(&mut tx, &ids).await?.into_iter().collect();
                    kept.retain(|prediction| present.contains(&prediction.customer_id));
                    if !kept.is_empty() {
                        store.write_predictions(&mut tx, &kept).await?;
                    }
                    tx.commit().await?;
                    Ok(present)
                })
                .await
            }

            async fn prediction(&self, prediction_id: &str) -> Result<Option<Prediction>> {
                let row = sqlx::query_as::<_, PredictionRow>("SELECT * FROM predictions WHERE prediction_id = $1")
                    .bind(prediction_id)
                    .fetch_optional(self.reader())
                    .await?;
                row.map(Prediction::try_from).transpose()
            }

            async fn predictions(
                &self,
                filter: &PredictionFilter,
                after: Option<PredictionCursor>,
                limit: usize,
            ) -> Result<Vec<Prediction>> {
                let mut query = QueryBuilder::<$database>::new("SELECT p.*");
                push_filter!(query, filter);
                let column = match filter.order {
                    PredictionOrder::Probability => "k.probability",
                    PredictionOrder::ScoreTime => "k.score_time",
                };
                if let Some(after) = after {
                    query.push(" AND (").push(column).push(", k.prediction_id) < (");
                    match filter.order {
                        PredictionOrder::Probability => query.push_bind(after.probability),
                        PredictionOrder::ScoreTime => query.push_bind(Stamp(after.score_time)),
                    };
                    query.push(", ").push_bind(after.prediction_id).push(")");
                }
                query.push(" ORDER BY ").push(column).push(" DESC, k.prediction_id DESC LIMIT ");
                query.push_bind(limit as i64);
                let rows: Vec<PredictionRow> = query.build_query_as().fetch_all(self.reader()).await?;
                rows.into_iter().map(Prediction::try_from).collect()
            }

            async fn count_predictions(&self, filter: &PredictionFilter) -> Result<u64> {
                let mut query = QueryBuilder::<$database>::new("SELECT count(*)");
                push_filter!(query, filter);
                let count: i64 = query.build_query_scalar().fetch_one(self.reader()).await?;
                Ok(count as u64)
            }

            async fn past_predictions(
                &self,
                target: Target,
                version: Option<i64>,
                moments: (Time, Time),
                customers: (&str, &str),
            ) -> Result<Vec<PastPrediction>> {
                // CROSS JOIN tells SQLite, which would rather read all of the target, to go by customer.
                let mut query = QueryBuilder::<$database>::new(
                    "SELECT p.customer_id, p.model_version, p.as_of_time, p.probability \
                     FROM customers AS c CROSS JOIN predictions AS p \
                     WHERE p.customer_id = c.customer_id AND c.customer_id > ",
                );
                query.push_bind(customers.0.to_owned());
                query.push(" AND c.customer_id <= ").push_bind(customers.1.to_owned());
                query.push(" AND p.target = ").push_bind(target.name());
                query.push(" AND p.as_of_time >= ").push_bind(Stamp(moments.0));
                query.push(" AND p.as_of_time < ").push_bind(Stamp(moments.1));
                query.push(" AND p.basis = ").push_bind(basis_name(Basis::Model));
                if let Some(version) = version {
                    query.push(" AND p.model_version = ").push_bind(version);
                }
                query.push(" ORDER BY p.customer_id, p.as_of_time, p.score_time, p.prediction_id");
                let rows: Vec<PastPredictionRow> = query.build_query_as().fetch_all(self.reader()).await?;
                Ok(rows.into_iter().map(PastPrediction::from).collect())
            }

            async fn remove_predictions(&self, before: Time) -> Result<u64> {
                let mut removed = 0;
                for target in Target::ALL {
                    let mut after = (Stamp(Time(0)), String::new());
                    loop {
                        let over: Vec<(Stamp, String, String)> = sqlx::query_as(
                            "SELECT p.score_time, p.prediction_id, p.customer_id FROM predictions AS p \
                             LEFT JOIN latest_predictions AS l ON l.customer_id = p.customer_id \
                             AND l.target = p.target AND l.prediction_id = p.prediction_id \
                             WHERE p.target = $1 AND p.score_time < $2 \
                             AND (p.score_time, p.prediction_id) > ($3, $4) AND l.prediction_id IS NULL \
                             ORDER BY p.score_time, p.prediction_id LIMIT $5",
                        )
                        .bind(target.name())
                        .bind(Stamp(before))
                        .bind(after.0)
                        .bind(after.1)
                        .bind(REMOVED_ROWS as i64)
                        .fetch_all(self.reader())
                        .await?;
                        let Some((time, id, _)) = over.last() else { break };
                        after = (Stamp(time.0), id.clone());
                        let store = self.clone();
                        removed += detached(async move {
                            let mut query = QueryBuilder::<$database>::new(
                                "DELETE FROM predictions WHERE (prediction_id, customer_id) IN (",
                            );
                            query.push_values(&over, |mut values, (_, prediction_id, customer_id)| {
                                values.push_bind(prediction_id).push_bind(customer_id);
                            });
                            let mut tx = store.begin().await?;
                            let gone = query.push(") RETURNING 1").build().fetch_all(&mut *tx).await?.len();
                            tx.commit().await?;
                            Ok::<_, StoreError>(gone as u64)
                        })
                        .await?;
                    }
                }
                Ok(removed)
            }

            async fn insert_population(&self, population: ScoredPopulation) -> Result<()> {
                let store = self.clone();
                detached(async move {
                    let mut tx = store.begin().await?;
                    sqlx::query(
                        "INSERT INTO populations \
                         (target, model_version, as_of_time, score_time, customers, counts) \
                         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (target, model_version) DO UPDATE \
                         SET as_of_time = excluded.as_of_time, score_time = excluded.score_time, \
                         customers = excluded.customers, counts = excluded.counts \
                         WHERE (excluded.as_of_time, excluded.score_time) >= \
                         (populations.as_of_time, populations.score_time)",
                    )
                    .bind(population.target.name())
                    .bind(population.model_version)
                    .bind(Stamp(population.as_of))
                    .bind(Stamp(population.score_time))
                    .bind(population.counts.customers as i64)
                    .bind(Json(&population.counts))
                    .execute(&mut *tx)
                    .await?;
                    Ok(tx.commit().await?)
                })
                .await
            }

            async fn population(&self, target: Target, version: i64) -> Result<Option<ScoredPopulation>> {
                let row: Option<PopulationRow> = sqlx::query_as(
                    "SELECT target, model_version, as_of_time, score_time, counts FROM populations \
                     WHERE target = $1 AND model_version = $2",
                )
                .bind(target.name())
                .bind(version)
                .fetch_optional(self.reader())
                .await?;
                row.map(ScoredPopulation::try_from).transpose()
            }

            async fn last_change(&self) -> Result<i64> {
                Ok(sqlx::query_scalar("SELECT coalesce(max(change_id), 0) FROM changes")
                    .fetch_one(self.reader())
                    .await?)
            }

            async fn changes(&self, after: i64, also: &[i64]) -> Result<Vec<Change>> {
                let mut query = QueryBuilder::<$database>::new(
                    "SELECT change_id, CASE WHEN writer = ",
                );
                query.push_bind(self.name.to_string());
                query.push(" THEN '[]' ELSE customer_ids END AS customer_ids FROM changes WHERE change_id > ");
                query.push_bind(after);
                if !also.is_empty() {
                    query.push(" OR change_id IN (");
                    let mut numbers = query.separated(", ");
                    also.iter().take(CHANGES).for_each(|number| {
                        numbers.push_bind(*number);
                    });
                    query.push(")");
                }
                query.push(" ORDER BY change_id LIMIT ").push_bind(CHANGES as i64);
                let rows: Vec<ChangeRow> = query.build_query_as().fetch_all(self.reader()).await?;
                rows.into_iter().map(Change::try_from).collect()
            }

            async fn prune_changes(&self, up_to: i64) -> Result<()> {
                let store = self.clone();
                detached(async move {
                    let mut tx = store.begin().await?;
                    sqlx::query("DELETE FROM changes WHERE change_id <= $1").bind(up_to).execute(&mut *tx).await?;
                    Ok(tx.commit().await?)
                })
                .await
            }

            async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>> {
                let (store, name, initial) = (self.clone(), name.to_owned(), initial.to_owned());
                detached(async move {
                    let mut tx = store.begin().await?;
                    sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                        .bind(&name)
                        .bind(initial)
                        .execute(&mut *tx)
                        .await?;
                    let value = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
                        .bind(&name)
                        .fetch_one(&mut *tx)
                        .await?;
                    tx.commit().await?;
                    Ok(value)
                })
                .await
            }
        }
    };
}
pub(super) use implement_store;

/// Holdout rows of a statement, with six bound values each; SQLite allows 32,766 of those.
pub(super) const HOLDOUT_ROWS: usize = 2_000;

/// Predictions that are removed at a time.
pub(super) const REMOVED_ROWS: usize = 1_000;

/// Models with whether they serve, up to the WHERE. Of an artifact that is too large to be read, no
/// more is fetched than shows that.
pub(super) static MODELS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT m.target, m.version, m.create_time, m.created_by, \
         substr(m.artifact, 1, {}) AS artifact, (c.version IS NOT NULL) AS champion FROM models AS m \
         LEFT JOIN champions AS c ON c.target = m.target AND c.version = m.version",
        LARGEST + 1
    )
});
