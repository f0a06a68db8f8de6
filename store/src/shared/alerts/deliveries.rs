//! Deliveries. A server leases what it delivers by a row's columns: no transaction is open while it waits for a receiver.

use async_trait::async_trait;

use super::{read_alerts, rows::SELECT_ALERTS};
use crate::{
    alerts::{Alert, AlertDeliveryStore, DeliveryResult, DeliveryState, Lease},
    error::Result,
    shared::{Backend, Statement, transaction::repeatable},
};
use tally_model::time::Time;

/// Leases what is due. Of two servers that do so at the same time, PostgreSQL has the second one wait for the first and
/// then look at the conditions on the row itself again, so they stand there once more.
fn claim(lease: &Lease, limit: usize) -> Statement {
    Statement::new(
        "UPDATE alert_deliveries SET lease_owner = $1, lease_until = $2, attempts = attempts + 1 \
         WHERE alert_id IN (SELECT d.alert_id FROM alert_deliveries AS d \
           WHERE d.state = 'pending' AND d.next_attempt_time <= $3 AND d.lease_until <= $4 \
           AND (d.customer_id = '' OR NOT EXISTS (SELECT 1 FROM alert_deliveries AS e \
             WHERE e.customer_id = d.customer_id AND e.state = 'pending' AND e.sequence < d.sequence)) \
           ORDER BY d.sequence LIMIT $5) \
         AND state = 'pending' AND lease_until <= $6 RETURNING alert_id",
    )
    .bind(lease.owner.as_str())
    .bind(lease.until)
    .bind(lease.now)
    .bind(lease.now)
    .bind(limit as i64)
    .bind(lease.now)
}

#[async_trait]
impl<B: Backend> AlertDeliveryStore for B {
    async fn claim_deliveries(&self, lease: Lease, limit: usize) -> Result<Vec<Alert>> {
        // Most of the time nothing is due, which is found out without waiting for other writers.
        let due = Statement::new(
            "SELECT 1 FROM alert_deliveries WHERE state = 'pending' AND next_attempt_time <= $1 \
             AND lease_until <= $2 LIMIT 1",
        )
        .bind(lease.now)
        .bind(lease.now);
        if self.read::<()>(due).await?.is_empty() {
            return Ok(Vec::new());
        }
        let claimed: Vec<(String,)> = repeatable((self.clone(), lease), move |shared| async move {
            let (store, lease) = &*shared;
            let mut tx = store.begin().await?;
            let claimed = B::run(&mut tx, claim(lease, limit)).await?;
            tx.commit().await?;
            Ok(claimed)
        })
        .await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = Statement::new(SELECT_ALERTS);
        select.push(" WHERE a.alert_id IN (").push_list(claimed.iter().map(|(id,)| id.as_str().into()));
        select.push(") ORDER BY a.sequence");
        read_alerts(self, select).await
    }

    async fn finish_delivery(
        &self,
        alert_id: &str,
        owner: &str,
        result: DeliveryResult,
        now: Time,
    ) -> Result<()> {
        let (state, error, next) = match &result {
            DeliveryResult::Delivered => (DeliveryState::Delivered, "", now),
            DeliveryResult::Retry { at, error } => (DeliveryState::Pending, error.as_str(), *at),
            DeliveryResult::Parked { error } => (DeliveryState::Parked, error.as_str(), now),
        };
        let mut update = Statement::new("UPDATE alert_deliveries SET state = ");
        update.push_bind(state.name()).push(", last_error = ").push_bind(error);
        update.push(", next_attempt_time = ").push_bind(next).push(", lease_owner = '', lease_until = ");
        update.push_bind(now);
        if state == DeliveryState::Delivered {
            update.push(", deliver_time = ").push_bind(now);
        }
        update.push(" WHERE alert_id = ").push_bind(alert_id);
        update.push(" AND lease_owner = ").push_bind(owner);
        let store = self.clone();
        crate::shared::detached(async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, update).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn count_deliveries(&self) -> Result<(u64, u64)> {
        let pending = Statement::new("SELECT count(*) FROM alert_deliveries WHERE state = 'pending'");
        let parked = Statement::new("SELECT count(*) FROM alert_deliveries WHERE state = 'parked'");
        Ok((self.count(pending).await?, self.count(parked).await?))
    }
}
