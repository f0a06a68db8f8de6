//! Affinities. The database finds the basket of each customer; the pairs of its values are counted here. A join of all
//! baskets with themselves took half as long again with ten values a customer, and grows with the square of that.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::FromRow;
use tally_model::{
    insight::{Affinity, AffinityCounter, AffinityIndex, AffinityPair, LEAST_CUSTOMERS},
    time::Time,
};

use super::{
    Backend, SqlValue, Stamp, Statement, Transaction,
    insights::push_families,
    reports::{MERGED, ReportSql, customer},
    transaction::repeatable,
};
use crate::{
    affinities::{AffinityList, AffinityStore, BasketQuery, Baskets, NewAffinityList},
    error::{Result, StoreError},
};

/// Rows that one statement inserts, with seven values each.
const INSERTED_ROWS: usize = 2_000;

const SELECT_LIST: &str = "SELECT list_id, pass_id, property, revision, known_time, customers, affinities, values_left_out, \
     affinities_left_out FROM affinity_lists WHERE ";

#[derive(FromRow)]
struct ListRow {
    list_id: i64,
    pass_id: i64,
    property: String,
    revision: i64,
    known_time: Stamp,
    customers: i64,
    affinities: i64,
    values_left_out: i64,
    affinities_left_out: i64,
}

impl From<ListRow> for AffinityList {
    fn from(row: ListRow) -> Self {
        let content = NewAffinityList {
            pass_id: row.pass_id,
            property: row.property,
            revision: row.revision,
            known_at: row.known_time.0,
            customers: row.customers,
            values_left_out: row.values_left_out,
            affinities_left_out: row.affinities_left_out,
        };
        Self { list_id: row.list_id, content, affinities: row.affinities }
    }
}

#[derive(FromRow)]
struct AffinityRow {
    place: i64,
    from_value: String,
    to_value: String,
    from_customers: i64,
    to_customers: i64,
    both_customers: i64,
    confidence_lower: f64,
    lift: f64,
}

impl From<AffinityRow> for (i64, Affinity) {
    fn from(row: AffinityRow) -> Self {
        let affinity = Affinity {
            from_value: row.from_value,
            to_value: row.to_value,
            from_customers: row.from_customers,
            to_customers: row.to_customers,
            both: row.both_customers,
            confidence_lower: row.confidence_lower,
            lift: row.lift,
        };
        (row.place, affinity)
    }
}

/// A value of a list with its number, or an affinity between two numbers.
#[derive(FromRow)]
struct IndexRow {
    number: i64,
    value: Option<String>,
    to_number: Option<i64>,
    confidence_lower: Option<f64>,
    lift: Option<f64>,
}

#[derive(FromRow)]
struct BoughtRow {
    customer: String,
    number: i64,
    last_time: Stamp,
}

/// A value with its number and how many values there are, or a basket of such numbers with how many customers have it.
#[derive(FromRow)]
struct BasketRow {
    content: Option<String>,
    number: Option<i64>,
    total: i64,
}

/// Appends the value of a property of the interaction `i`; none is stored empty.
fn push_value<B: ReportSql>(statement: &mut Statement, property: &str) {
    statement
        .push("(i.properties ->> ")
        .push_bind(B::json_key(property).as_str())
        .push(")")
        .push(B::BYTEWISE);
}

/// A row for each value, and one for each basket that customers have. Customers with the same basket are counted by the
/// database, since with few values many have the same.
fn select_baskets<B: ReportSql>(query: BasketQuery<'_>) -> Statement {
    let mut statement = Statement::new(concat!(
        "WITH bought AS MATERIALIZED (SELECT customer, value FROM (SELECT ",
        customer!()
    ))
    .planned_anew();
    statement.push(" AS customer, ");
    push_value::<B>(&mut statement, query.property);
    statement
        .push(" AS value FROM interactions AS i")
        .push(MERGED)
        .push(" WHERE i.kind IN ('purchase', 'return') AND i.kind = 'purchase' AND i.occur_time > ")
        .push_bind(query.after)
        .push(" AND i.occur_time <= ")
        .push_bind(query.until)
        .push(
            ") AS purchases WHERE value IS NOT NULL GROUP BY customer, value), \
             listed AS MATERIALIZED (SELECT value, row_number() OVER (ORDER BY count(*) DESC, value) - 1 AS number, \
             count(*) OVER () AS total FROM bought GROUP BY value HAVING count(*) >= ",
        )
        .push_bind(LEAST_CUSTOMERS)
        .push(" ORDER BY number LIMIT ")
        .push_bind(query.values as i64)
        .push(
            "), baskets AS (SELECT string_agg(CAST(l.number AS TEXT), ',' ORDER BY l.number) AS basket \
             FROM bought AS b LEFT JOIN listed AS l ON l.value = b.value GROUP BY b.customer) \
             SELECT value AS content, number, total FROM listed \
             UNION ALL SELECT basket, NULL, count(*) FROM baskets GROUP BY basket",
        );
    statement
}

/// The numbers of a basket.
fn numbers(basket: Option<&str>) -> Result<Vec<usize>> {
    let parse = |number: &str| {
        number.parse().map_err(|_| StoreError::Internal(format!("a basket has the number `{number}`")))
    };
    basket.map_or_else(|| Ok(Vec::new()), |basket| basket.split(',').map(parse).collect())
}

async fn baskets<B: Backend>(store: &B, query: BasketQuery<'_>) -> Result<Baskets> {
    let mut named: Vec<(i64, String)> = Vec::new();
    let (mut counter, mut candidates, mut failure) = (AffinityCounter::new(query.values), 0, None);
    let add = |row: BasketRow| match row.number {
        Some(number) => {
            named.push((number, row.content.unwrap_or_default()));
            candidates = row.total;
        }
        None => match numbers(row.content.as_deref()) {
            Ok(basket) => counter.add(&basket, row.total),
            Err(error) => failure = Some(error),
        },
    };
    store.read_each(select_baskets::<B>(query), add).await?;
    if let Some(error) = failure {
        return Err(error);
    }
    named.sort_unstable();
    let values: Vec<String> = named.into_iter().map(|(_, value)| value).collect();
    Ok(Baskets { values_left_out: candidates - values.len() as i64, values, counter })
}

/// The list of a property in a pass.
fn select_list(pass_id: i64, property: &str) -> Statement {
    let mut select = Statement::new(SELECT_LIST);
    select.push("pass_id = ").push_bind(pass_id).push(" AND property = ").push_bind(property);
    select
}

async fn insert<B: Backend>(
    store: &B,
    list: &NewAffinityList,
    affinities: &[Affinity],
) -> Result<AffinityList> {
    let mut tx = store.begin().await?;
    let stored: Option<ListRow> = B::run(&mut tx, select_list(list.pass_id, &list.property)).await?.pop();
    if let Some(stored) = stored.filter(|stored| stored.revision >= list.revision) {
        return Ok(stored.into());
    }
    let replace = Statement::new("DELETE FROM affinity_lists WHERE pass_id = $1 AND property = $2")
        .bind(list.pass_id)
        .bind(list.property.as_str());
    B::run::<()>(&mut tx, replace).await?;
    let insert = Statement::new(
        "INSERT INTO affinity_lists (pass_id, property, revision, known_time, customers, affinities, \
         values_left_out, affinities_left_out) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING list_id",
    )
    .bind(list.pass_id)
    .bind(list.property.as_str())
    .bind(list.revision)
    .bind(list.known_at)
    .bind(list.customers)
    .bind(affinities.len() as i64)
    .bind(list.values_left_out)
    .bind(list.affinities_left_out);
    let (list_id,): (i64,) = B::run(&mut tx, insert).await?.pop().ok_or(StoreError::Aborted)?;
    insert_rows::<B>(&mut tx, list_id, affinities).await?;
    tx.commit().await?;
    Ok(AffinityList { list_id, content: list.clone(), affinities: affinities.len() as i64 })
}

/// The values of affinities by their numbers, each with its customers.
fn numbered(affinities: &[Affinity]) -> (HashMap<&str, i64>, Vec<(&str, i64)>) {
    let (mut numbers, mut values) = (HashMap::new(), Vec::new());
    for of in affinities {
        for (value, customers) in [(&of.from_value, of.from_customers), (&of.to_value, of.to_customers)] {
            numbers.entry(value.as_str()).or_insert_with(|| {
                values.push((value.as_str(), customers));
                values.len() as i64 - 1
            });
        }
    }
    (numbers, values)
}

async fn insert_rows<B: Backend>(
    tx: &mut Transaction<B>,
    list_id: i64,
    affinities: &[Affinity],
) -> Result<()> {
    let (numbers, values) = numbered(affinities);
    let row = |(number, (value, customers)): (i64, (&str, i64))| {
        [list_id.into(), number.into(), value.into(), customers.into()]
    };
    let rows: Vec<[SqlValue; 4]> = (0..).zip(values).map(row).collect();
    insert_parts::<B, 4>(tx, "INSERT INTO affinity_values (list_id, number, value, customers) ", rows)
        .await?;
    let number = |value: &str| numbers.get(value).copied();
    let row = |(place, of): (i64, &Affinity)| {
        [
            list_id.into(),
            place.into(),
            number(&of.from_value).into(),
            number(&of.to_value).into(),
            of.both.into(),
            of.confidence_lower.into(),
            of.lift.into(),
        ]
    };
    let rows: Vec<[SqlValue; 7]> = (0..).zip(affinities).map(row).collect();
    let insert = "INSERT INTO affinities (list_id, place, from_number, to_number, both_customers, confidence_lower, lift) ";
    insert_parts::<B, 7>(tx, insert, rows).await
}

async fn insert_parts<B: Backend, const N: usize>(
    tx: &mut Transaction<B>,
    insert: &'static str,
    rows: Vec<[SqlValue; N]>,
) -> Result<()> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut statement = Statement::new(insert);
        statement.push_rows(rows.by_ref().take(INSERTED_ROWS));
        B::run::<()>(tx, statement).await?;
    }
    Ok(())
}

/// The values and the affinities of a list, in one statement, so that they are of the same list when it is replaced.
fn select_index(list_id: i64) -> Statement {
    Statement::new(
        "SELECT number, value, NULL AS to_number, NULL AS confidence_lower, NULL AS lift, number AS place \
         FROM affinity_values WHERE list_id = $1 \
         UNION ALL SELECT from_number, NULL, to_number, confidence_lower, lift, place FROM affinities WHERE list_id = $2 \
         ORDER BY place",
    )
    .bind(list_id)
    .bind(list_id)
}

/// The values of a list that customers bought, with the time of the last purchase.
fn select_bought<B: ReportSql>(list: &AffinityList, customer_ids: &[String], until: Time) -> Statement {
    // A condition on the value in the inner statement would have PostgreSQL parse the properties of interactions of all
    // kinds; purchases without a value find none to join.
    let mut select = Statement::new(concat!(
        "WITH bought AS MATERIALIZED (SELECT customer, value, max(occur_time) AS last_time FROM (SELECT ",
        customer!(),
        " AS customer, "
    ));
    push_value::<B>(&mut select, &list.content.property);
    select.push(" AS value, i.occur_time FROM interactions AS i").push(MERGED);
    select.push(" WHERE i.kind = 'purchase' AND i.");
    push_families(&mut select, customer_ids);
    select
        .push(" AND i.occur_time <= ")
        .push_bind(until)
        .push(
            ") AS purchases GROUP BY customer, value) SELECT b.customer, v.number, b.last_time FROM bought AS b \
             JOIN affinity_values AS v ON v.value = b.value WHERE v.list_id = ",
        )
        .push_bind(list.list_id);
    select
}

#[async_trait]
impl<B: Backend> AffinityStore for B {
    async fn baskets(&self, query: BasketQuery<'_>) -> Result<Baskets> {
        baskets(self, query).await
    }

    async fn insert_affinities(
        &self,
        list: NewAffinityList,
        affinities: Vec<Affinity>,
    ) -> Result<AffinityList> {
        repeatable(self, (self.clone(), list, affinities), move |shared| async move {
            let (store, list, affinities) = &*shared;
            insert(store, list, affinities).await
        })
        .await
    }

    async fn affinity_list(&self, pass_id: i64, property: &str) -> Result<Option<AffinityList>> {
        Ok(self.read_one::<ListRow>(select_list(pass_id, property)).await?.map(AffinityList::from))
    }

    async fn affinity_list_of_id(&self, list_id: i64) -> Result<Option<AffinityList>> {
        let mut select = Statement::new(SELECT_LIST);
        select.push("list_id = ").push_bind(list_id);
        Ok(self.read_one::<ListRow>(select).await?.map(AffinityList::from))
    }

    async fn affinities(
        &self,
        list_id: i64,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, Affinity)>> {
        let select = Statement::new(
            "SELECT a.place, f.value AS from_value, t.value AS to_value, f.customers AS from_customers, \
             t.customers AS to_customers, a.both_customers, a.confidence_lower, a.lift FROM affinities AS a \
             JOIN affinity_values AS f ON f.list_id = a.list_id AND f.number = a.from_number \
             JOIN affinity_values AS t ON t.list_id = a.list_id AND t.number = a.to_number \
             WHERE a.list_id = $1 AND a.place > $2 ORDER BY a.place LIMIT $3",
        )
        .bind(list_id)
        .bind(after.unwrap_or(-1))
        .bind(limit as i64);
        Ok(self.read::<AffinityRow>(select).await?.into_iter().map(Into::into).collect())
    }

    async fn affinity_index(&self, list_id: i64) -> Result<AffinityIndex> {
        let (mut values, mut pairs) = (Vec::new(), Vec::new());
        let add = |row: IndexRow| {
            if let Some(value) = row.value {
                values.push(value);
            } else if let Some(((to, confidence_lower), lift)) =
                row.to_number.zip(row.confidence_lower).zip(row.lift)
            {
                pairs.push(AffinityPair {
                    from: row.number as usize,
                    to: to as usize,
                    confidence_lower,
                    lift,
                });
            }
        };
        self.read_each(select_index(list_id), add).await?;
        Ok(AffinityIndex::new(values, pairs))
    }

    async fn values_bought(
        &self,
        list: &AffinityList,
        customer_ids: &[String],
        until: Time,
    ) -> Result<HashMap<String, Vec<(usize, Time)>>> {
        let mut bought: HashMap<String, Vec<(usize, Time)>> = HashMap::new();
        if list.affinities == 0 || customer_ids.is_empty() {
            return Ok(bought);
        }
        let rows: Vec<BoughtRow> = self.read(select_bought::<B>(list, customer_ids, until)).await?;
        for BoughtRow { customer, number, last_time } in rows {
            bought.entry(customer).or_default().push((number as usize, last_time.0));
        }
        Ok(bought)
    }
}
