//! Segments of all customers, their members, and the attributes that customers have.

use std::{collections::HashMap, sync::Arc};

use tally_model::{
    insight::{
        AttributeTypes, BuyerPurchases, Population, PurchaseDays, Segmentation, growth, growth_warning,
    },
    time::Time,
};
use tally_store::{
    AttributeValues, Member, MemberCursor, MemberFilter, MemberOrder, Pass, SegmentMove, SegmentSums,
};

use super::{Insights, ROWS};
use crate::{
    histories::scan::par_chunks,
    platform::{
        blocking::run_blocking,
        error::{Error, Result, Shortened},
    },
};

/// Values of an attribute that are listed.
const TOP_VALUES: usize = 10;

/// The segments of a segmentation.
pub struct Segments {
    /// The pass that they are of.
    pub pass: Pass,
    /// The segments with what they mean together.
    pub segments: Vec<SegmentSums>,
    /// The other pass, and who moved since.
    pub moves: Option<(Pass, Vec<SegmentMove>)>,
}

/// A member of a segment with the 95 % interval of what it will bring.
pub struct ValuedMember {
    /// The member.
    pub member: Member,
    /// Its name.
    pub name: String,
    /// In minor units; None for a lead, or without a value model.
    pub interval: Option<[f64; 2]>,
}

/// An attribute, who has it, and which values.
pub struct AttributeCoverage {
    /// The values.
    pub values: AttributeValues,
    /// The types over all customers.
    pub types: AttributeTypes,
}

impl Insights {
    /// The segments at a moment, and who moved since another.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when the other moment is later, or there are too many segments; when the store fails.
    pub async fn segments(
        &self,
        segmentation: &Segmentation,
        as_of: Option<Time>,
        compare_to: Option<Time>,
    ) -> Result<Segments> {
        check_order(as_of, compare_to)?;
        let mut pass = self.pass(as_of).await?;
        check_order(Some(pass.as_of), compare_to)?;
        if compare_to.is_some() {
            // Two moments are compared by the same definitions, the present ones.
            pass = self.pass(Some(pass.as_of)).await?;
        }
        let mut segments = self.sums(&pass, segmentation).await?.to_vec();
        match segmentation.segments(&pass.population) {
            // Also those without customers.
            Some(names) => segments = in_order(segments, names),
            None if *segmentation == Segmentation::RfmCell => {
                // 555 first; `none` is greater than any digit.
                segments.sort_by(|a, b| {
                    let key = |sums: &SegmentSums| sums.segment.parse::<u32>().unwrap_or(0);
                    key(b).cmp(&key(a))
                });
            }
            None => segments.sort_by(|a, b| {
                let key = |sums: &SegmentSums| (-i128::from(sums.revenue), sums.segment.clone());
                key(a).cmp(&key(b))
            }),
        }
        let moves = match compare_to {
            None => None,
            Some(time) => {
                let before = self.pass(Some(time)).await?;
                let mut moves =
                    self.store.segment_moves([before.pass_id, pass.pass_id], segmentation, ROWS + 1).await?;
                check_rows(moves.len())?;
                moves.sort_by(|a, b| (-a.customers, &a.from, &a.to).cmp(&(-b.customers, &b.from, &b.to)));
                Some((before, moves))
            }
        };
        Ok(Segments { pass, segments, moves })
    }

    /// What makes the segments of a pass, the growth of their members and their lifetime values questionable.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn segment_warnings(&self, pass: &Pass, segmentation: &Segmentation) -> Result<Vec<String>> {
        let first = self.first_purchase().await?;
        let growth = growth_warning(pass.as_of, pass.population.spec.window_days, first);
        let of_segments = growth.into_iter().chain(segmentation.warning(&pass.population));
        let of_segments = of_segments.chain(pass.population.range_warning());
        Ok(of_segments.chain(pass.population.value.warnings()).collect())
    }

    /// The sums of the segments that have customers, from memory when they were asked for before.
    async fn sums(&self, pass: &Pass, segmentation: &Segmentation) -> Result<Arc<[SegmentSums]>> {
        if let Some(kept) = self.sums.get(pass, segmentation) {
            return Ok(kept);
        }
        let sums = self.store.segments(pass.pass_id, segmentation, ROWS + 1).await?;
        check_rows(sums.len())?;
        self.sums.keep(pass, segmentation, &sums);
        Ok(sums.into())
    }

    /// How many customers pass the filter.
    async fn count_of(&self, pass: &Pass, filter: &MemberFilter) -> Result<u64> {
        if let Segmentation::Attribute(_) = filter.segmentation {
            // It may have more values than a reply has segments.
            return Ok(self.store.count_members(filter).await?);
        }
        let sums = self.sums(pass, &filter.segmentation).await?;
        let is_counted =
            |sums: &&SegmentSums| filter.segment.as_ref().is_none_or(|name| *name == sums.segment);
        Ok(sums.iter().filter(is_counted).map(|sums| sums.customers as u64).sum())
    }

    /// Checks that a segmentation with fixed segments has one of this name.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it has not.
    pub fn check_segment(&self, pass: &Pass, segmentation: &Segmentation, segment: &str) -> Result<()> {
        match segmentation.segments(&pass.population) {
            Some(names) if !names.iter().any(|name| name == segment) => Err(Error::invalid(
                "segment",
                format!(
                    "is `{}`, which {segmentation} does not have; allowed are {}",
                    Shortened(segment),
                    names.join(", ")
                ),
            )),
            _ => Ok(()),
        }
    }

    /// At most `limit` members of a segment that follow `after`, and how many there are.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn members(
        &self,
        pass: &Pass,
        filter: &MemberFilter,
        (order, after): (MemberOrder, Option<MemberCursor>),
        limit: usize,
    ) -> Result<(Vec<ValuedMember>, u64)> {
        let total = self.count_of(pass, filter).await?;
        let members = self.store.members(filter, order, after, limit).await?;
        let population = pass.population.clone();
        let ids: Vec<String> = members.iter().map(|member| member.customer_id.clone()).collect();
        let names = self.store.customer_names(&ids).await?;
        let valued = run_blocking(move || valued(members, names, &population)).await?;
        Ok((valued, total))
    }

    /// The attributes of the customers that pass the filter, the best covered first, and how many customers these are.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn attributes(
        &self,
        pass: &Pass,
        filter: &MemberFilter,
    ) -> Result<(Vec<AttributeCoverage>, u64)> {
        let customers = self.count_of(pass, filter).await?;
        let found = self.store.attribute_values(filter, TOP_VALUES).await?;
        let types = |name: &str| pass.population.attributes.get(name).copied().unwrap_or_default();
        let mut covered: Vec<AttributeCoverage> = found
            .into_iter()
            .map(|values| AttributeCoverage { types: types(&values.name), values })
            .collect();
        covered.sort_by(|a, b| {
            let key = |of: &AttributeCoverage| (-of.values.customers, of.values.name.clone());
            key(a).cmp(&key(b))
        });
        Ok((covered, customers))
    }
}

/// The intervals are not stored: finding them takes longer than all the rest of a pass.
fn valued(
    members: Vec<Member>,
    mut names: HashMap<String, String>,
    population: &Population,
) -> Vec<ValuedMember> {
    let interval = |member: &Member| {
        let PurchaseDays { first_purchase, last_purchase, count } = member.purchases?;
        let as_of = population.as_of;
        let buyer = BuyerPurchases::new(count, first_purchase, last_purchase, as_of, member.repeat_revenue);
        population.value.interval(&buyer)
    };
    let intervals = par_chunks(&members, |some| some.iter().map(interval).collect::<Vec<_>>()).concat();
    let valued = |(member, interval): (Member, _)| {
        let name = names.remove(&member.customer_id).unwrap_or_default();
        ValuedMember { member, name, interval }
    };
    members.into_iter().zip(intervals).map(valued).collect()
}

/// Refuses to say who moved since a moment to come.
fn check_order(as_of: Option<Time>, compare_to: Option<Time>) -> Result<()> {
    match (as_of, compare_to) {
        (Some(as_of), Some(compare_to)) if compare_to > as_of => Err(Error::invalid(
            "compare_to_time",
            format!("is {compare_to}, after as_of_time {as_of}; allowed is up to as_of_time"),
        )),
        _ => Ok(()),
    }
}

/// Refuses more segments or moves than a reply may have.
fn check_rows(rows: usize) -> Result<()> {
    match rows <= ROWS {
        true => Ok(()),
        false => Err(Error::invalid(
            "segmentation",
            format!(
                "has more than {ROWS} rows; allowed are {ROWS}, so choose an attribute with fewer values"
            ),
        )),
    }
}

/// The segments in the order of `names`, which are all, also those without customers.
fn in_order(mut found: Vec<SegmentSums>, names: Vec<String>) -> Vec<SegmentSums> {
    let mut ordered = Vec::with_capacity(names.len());
    for segment in names {
        let place = found.iter().position(|sums| sums.segment == segment);
        ordered.push(match place {
            Some(place) => found.swap_remove(place),
            None => SegmentSums { segment, ..SegmentSums::default() },
        });
    }
    ordered
}

/// The change of the net revenue of a segment since the window before.
#[must_use]
pub fn segment_growth(sums: &SegmentSums) -> Option<f64> {
    growth(sums.revenue.saturating_sub(sums.returns), sums.previous_net)
}
