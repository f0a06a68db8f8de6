//! Currencies that the rows of a file name beside their amounts.

use std::collections::BTreeMap;

/// Most currencies that are told apart; a file has few.
const MOST: usize = 20;

/// How many amounts are in which currency.
#[derive(Default)]
pub(super) struct CurrencyStatistics(BTreeMap<String, u64>);

impl CurrencyStatistics {
    /// Counts an amount whose row names this currency. One that is empty counts nowhere.
    pub(super) fn add(&mut self, name: &str) {
        if let Some(count) = self.0.get_mut(name) {
            *count += 1;
        } else if !name.is_empty() && self.0.len() < MOST {
            self.0.insert(name.to_owned(), 1);
        }
    }

    /// The amounts that are not in the deployment's currency, and a clause that says in which they are. None if all are
    /// in one currency that the deployment does not contradict.
    pub(super) fn others(&self, deployment: &str) -> Option<(u64, String)> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (name, count) in &self.0 {
            *counts.entry(name.to_uppercase()).or_default() += count;
        }
        let own = if deployment.is_empty() && counts.len() == 1 { counts.keys().next()? } else { deployment };
        let others = counts.iter().filter(|(name, _)| *name != own).map(|(_, count)| count).sum();
        let listed: Vec<String> = counts.iter().map(|(name, count)| format!("{count} in {name}")).collect();
        (others > 0).then(|| (others, listed.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::CurrencyStatistics;

    #[test]
    fn amounts_in_other_currencies_are_told() {
        let of = |names: &[&str]| {
            let mut found = CurrencyStatistics::default();
            names.iter().for_each(|name| found.add(name));
            found
        };
        assert_eq!(of(&["eur", "EUR", ""]).others("EUR"), None);
        assert_eq!(of(&["eur", "EUR"]).others(""), None);
        assert_eq!(of(&["usd"]).others("EUR"), Some((1, "1 in USD".to_owned())));
        let mixed = of(&["usd", "EUR", "EUR"]);
        assert_eq!(mixed.others("EUR"), Some((1, "2 in EUR, 1 in USD".to_owned())));
        assert_eq!(mixed.others("").unwrap().1, "2 in EUR, 1 in USD");
    }
}
