//! Writes a simulated business of buyers: `customers.csv` and `interactions.csv` in the format of `tally import`,
//! and `interactions.copy`, the same rows in the format of `\copy` and the SQLite peer.
//!
//! Customers who never bought are left out and the others are numbered consecutively (C00000, C00001, …), so that
//! every number is a customer that a churn model can score. A smaller business is a prefix of a larger one.

use std::{
    error::Error,
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use clap::Parser;
use tally_model::{
    history::{AttributeValue, kind},
    simulate::Business,
    time::Time,
};

/// The attributes of simulated customers.
const ATTRIBUTES: [&str; 5] = ["region", "source", "newsletter", "birth_date", "company_size"];
/// The properties of simulated interactions.
const PROPERTIES: [&str; 6] = ["category", "cost_minor", "discount_percent", "campaign", "score", "expected"];

#[derive(Parser)]
struct Args {
    /// The folder to write to
    folder: PathBuf,
    /// How many buyers
    #[arg(long)]
    customers: usize,
    /// How many of the first buyers to leave out
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// All interactions happen before this moment
    #[arg(long)]
    end: Time,
    /// Length of the simulated period
    #[arg(long)]
    days: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let business = Business { customers: usize::MAX, days: args.days, ..Business::new(1, args.end) };
    std::fs::create_dir_all(&args.folder)?;
    let file =
        |name: &str| File::create(args.folder.join(name)).map(|file| BufWriter::with_capacity(1 << 20, file));
    let mut customers = csv::Writer::from_writer(file("customers.csv")?);
    let mut interactions = csv::Writer::from_writer(file("interactions.csv")?);
    let mut copy = file("interactions.copy")?;
    customers.write_record(["customer_id", "create_time", "name"].iter().chain(&ATTRIBUTES))?;
    let fixed = ["interaction_id", "customer_id", "kind", "occur_time", "amount", "channel"];
    interactions.write_record(fixed.iter().chain(&PROPERTIES))?;

    let buyers =
        business.iter().filter(|customer| customer.interactions.iter().any(|i| i.kind == kind::PURCHASE));
    let mut rows = 0_u64;
    for (n, customer) in buyers.take(args.customers).enumerate().skip(args.skip) {
        let id = format!("C{n:05}");
        let attributes = ATTRIBUTES.map(|name| match customer.attributes.get(name) {
            Some(AttributeValue::Text(text)) => text.clone(),
            Some(AttributeValue::Number(number)) => number.to_string(),
            Some(AttributeValue::Boolean(truth)) => truth.to_string(),
            None => String::new(),
        });
        let created = customer.create_time.to_string();
        customers.write_record([&id, &created, &customer.name].into_iter().chain(&attributes))?;
        for interaction in &customer.interactions {
            let time = interaction.occur_time.to_string();
            let amount = interaction.amount_minor.map(|minor| format!("{}.{:02}", minor / 100, minor % 100));
            let amount = amount.unwrap_or_default();
            let property = |name: &str| interaction.properties.get(name).map_or("", String::as_str);
            let (key, kind, channel) = (&*interaction.interaction_id, interaction.kind, interaction.channel);
            let fixed = [key, &id, kind, &time, &amount, channel];
            interactions.write_record(fixed.into_iter().chain(PROPERTIES.map(property)))?;
            let minor = interaction.amount_minor.map_or("\\N".to_owned(), |minor| minor.to_string());
            let properties = serde_json::to_string(&interaction.properties)?;
            writeln!(copy, "{id}\t{key}\t{kind}\t{time}\t{time}\t{minor}\t{channel}\t{properties}")?;
            rows += 1;
        }
    }
    customers.flush()?;
    interactions.flush()?;
    copy.flush()?;
    println!("{rows}");
    Ok(())
}
