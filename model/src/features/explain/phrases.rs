//! The phrases that sentences are made of: numbers, money, counts, names.

/// A sentence that is being written, piece by piece. Every score has several, and `write!` would take several
/// times as long.
pub(super) struct Sentence<'a> {
    pub(super) text: &'a mut String,
    /// How many decimals money has.
    pub(super) amount_decimals: u8,
}

impl Sentence<'_> {
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(super) fn integer(&mut self, integer: impl itoa::Integer) -> &mut Self {
        self.text(itoa::Buffer::new().format(integer))
    }

    pub(super) fn within(&mut self, days: Option<u32>) -> &mut Self {
        match days {
            None => self.text("so far"),
            Some(days) => self.text("in the last ").whole_days(days),
        }
    }

    pub(super) fn count(&mut self, count: f64, kind: &str) -> &mut Self {
        match tenths(count) {
            Some(0) => self.text("No ").words(kind),
            Some(10) => self.text("1 ").words(kind),
            _ => self.number(count).text(" ").plural(kind),
        }
    }

    /// A quantity of a property: `412 units`, `1 unit`, `12.50 cost`, `No units`.
    pub(super) fn quantity(&mut self, value: f64, property: &str) -> &mut Self {
        let (unit, write) = unit(property);
        let is_money = unit != property;
        match tenths(value) {
            _ if value == 0.0 => self.text("No ").words(unit),
            Some(10) if !is_money => self.text("1 ").singular(unit),
            _ => write(self, value).text(" ").words(unit),
        }
    }

    /// The days of a feature.
    pub(super) fn whole_days(&mut self, days: u32) -> &mut Self {
        self.integer(days).text(if days == 1 { " day" } else { " days" })
    }

    pub(super) fn days(&mut self, days: f64) -> &mut Self {
        match tenths(days) {
            Some(10) => self.text("1 day"),
            _ => self.number(days).text(" days"),
        }
    }

    /// An integer without a decimal, other small numbers with one.
    pub(super) fn number(&mut self, value: f64) -> &mut Self {
        match tenths(value) {
            None => self.text(&format!("{value:.0}")),
            Some(tenths) if tenths.abs() >= 200 => self.integer(value.round() as i64),
            Some(tenths) if tenths % 10 == 0 => self.integer(tenths / 10),
            Some(tenths) => self.whole(tenths, 10).integer(tenths.abs() % 10),
        }
    }

    /// Minor units as an amount of money.
    pub(super) fn money(&mut self, minor: f64) -> &mut Self {
        let (minor, decimals) = (minor.round(), self.amount_decimals);
        let of_one = 10_i64.pow(decimals.into());
        if minor.abs() >= EXACT {
            return self.text(&format!("{:.*}", decimals.into(), minor / of_one as f64));
        }
        let minor = minor as i64;
        if decimals == 0 {
            return self.integer(minor);
        }
        self.whole(minor, of_one);
        (0..decimals.into())
            .rev()
            .fold(self, |sentence, place| sentence.integer(minor.abs() / 10_i64.pow(place) % 10))
    }

    /// The sign and the digits before the point of a number that is given in parts.
    fn whole(&mut self, parts: i64, of_one: i64) -> &mut Self {
        self.text(if parts < 0 { "-" } else { "" }).integer(parts.abs() / of_one).text(".")
    }

    pub(super) fn percent(&mut self, share: f64) -> &mut Self {
        let percent = share * 100.0;
        if percent.abs() < EXACT {
            self.integer(percent.round_ties_even() as i64)
        } else {
            self.text(&format!("{percent:.0}"))
        }
        .text(" %")
    }

    /// A name from the data as words: `email_open` becomes "email open".
    pub(super) fn words(&mut self, name: &str) -> &mut Self {
        for (n, word) in name.split('_').enumerate() {
            self.text(if n > 0 { " " } else { "" }).text(word);
        }
        self
    }

    /// The singular of a name from the data, as far as its form tells: `order_lines` becomes "order line".
    fn singular(&mut self, name: &str) -> &mut Self {
        let is_plural = !["ss", "us", "is"].iter().any(|end| name.ends_with(end));
        let of = |(plural, singular): &(&str, &'static str)| Some((name.strip_suffix(plural)?, *singular));
        match SINGULARS.iter().find_map(of).filter(|(stem, _)| is_plural && !stem.is_empty()) {
            Some((stem, end)) => self.words(stem).text(end),
            None => self.words(name),
        }
    }

    pub(super) fn plural(&mut self, kind: &str) -> &mut Self {
        match kind.as_bytes() {
            [.., b's' | b'x' | b'z'] | [.., b'c' | b's', b'h'] => self.words(kind).text("es"),
            [.., before, b'y'] if !b"aeiou".contains(before) => {
                self.words(&kind[..kind.len() - 1]).text("ies")
            }
            _ => self.words(kind).text("s"),
        }
    }
}

/// What is left of a plural of these forms, which is longer than its end.
const SINGULARS: [(&str, &str); 6] =
    [("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("s", "")];

/// Writes a value.
type WriteValue<'a> = for<'b> fn(&'b mut Sentence<'a>, f64) -> &'b mut Sentence<'a>;

/// The name of a property in a sentence, and the function that writes its values: `cost_minor` is money.
pub(super) fn unit<'a>(property: &str) -> (&str, WriteValue<'a>) {
    match property.strip_suffix("_minor") {
        Some(name) => (name, Sentence::money),
        None => (property, Sentence::number),
    }
}

/// Greater numbers are not written as integers.
const EXACT: f64 = 1e15;

/// A number in tenths, unless it is large. Integers are written many times faster than floating point numbers.
fn tenths(value: f64) -> Option<i64> {
    let tenths = (value * 10.0).round();
    (tenths.abs() < EXACT).then_some(tenths as i64)
}
