//! Buyers with known parameters: their history up to a moment, and what they bring after it.

use tally_model::{
    features::bg_nbd::BgNbd,
    insight::{BuyerPurchases, Facts, GammaGamma, Money, PurchaseDays, ValueSample},
    time::{DAY, Time},
};

use crate::buyers::Sampler;

/// The moment that everything is seen at.
pub const AS_OF: Time = Time(20_000 * DAY);
/// The days after it that are simulated.
pub const HORIZON: i64 = 365;

/// A buyer, and the days after [`AS_OF`] on which it buys, with the money.
pub struct Life {
    pub facts: Facts,
    pub later: Vec<(i64, f64)>,
}

impl Life {
    pub fn buyer(&self) -> BuyerPurchases {
        BuyerPurchases::of(&self.facts, AS_OF).unwrap()
    }
}

/// Buyers whose first purchase was 10 to 104 weeks ago.
pub fn lives(seed: u64, customers: usize, often: &BgNbd, money: &GammaGamma) -> Vec<Life> {
    let mut sampler = Sampler::new(seed);
    (0..customers).map(|_| life(&mut sampler, often, money)).collect()
}

pub fn sample(lives: &[Life]) -> ValueSample {
    let mut sample = ValueSample::default();
    lives.iter().for_each(|life| sample.add(&life.facts, AS_OF));
    sample
}

fn life(sampler: &mut Sampler, often: &BgNbd, money: &GammaGamma) -> Life {
    let first = -70 - (658.0 * sampler.uniform()) as i64;
    let rate = sampler.gamma(often.r) / often.alpha;
    let dropout = sampler.beta(often.a, often.b);
    let spending = sampler.gamma(money.q) / money.v;
    let purchase = |sampler: &mut Sampler| sampler.gamma(money.p) / spending;
    let mut facts = Facts::default();
    let (mut past, mut later) = (vec![first], Vec::<(i64, f64)>::new());
    let first_money = purchase(sampler).round() as i64;
    facts.ever = Money { revenue: first_money, orders: 1, ..Money::default() };
    facts.day_revenue_squares = i128::from(first_money).pow(2);
    let mut time = first as f64;
    loop {
        time += 7.0 * sampler.exponential() / rate;
        let day = time.ceil() as i64;
        if day > HORIZON {
            break;
        }
        let is_new = later.last().map_or(past.last() != Some(&day), |(last, _)| *last != day);
        let amount = purchase(sampler);
        if is_new && day > 0 {
            later.push((day, amount));
        } else if is_new {
            past.push(day);
            facts.repeat_revenue += amount.round() as i64;
            facts.ever.revenue += amount.round() as i64;
            facts.ever.orders += 1;
            facts.day_revenue_squares += (amount.round() as i128).pow(2);
        }
        if sampler.uniform() < dropout {
            break;
        }
    }
    facts.window = facts.ever;
    facts.purchases = Some(PurchaseDays {
        first_purchase: AS_OF.plus_days(first),
        last_purchase: AS_OF.plus_days(past[past.len() - 1]),
        count: past.len() as i64,
    });
    Life { facts, later }
}
