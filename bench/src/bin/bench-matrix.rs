//! Writes the training rows of a churn model of a simulated business as a dense matrix: `rows` labels of one
//! byte each, then the columns one after the other as f64. The columns are the first features that do not
//! duplicate an earlier one, as logarithms, standardised to mean 0 and variance 1.

use std::{
    error::Error,
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use clap::Parser;
use tally_model::{
    features::profile::DataProfile,
    simulate::Business,
    spec::{Spec, Target},
    time::Time,
    training::snapshot::{Sampling, Snapshots},
};

/// Customers that the columns are chosen on.
const FIRST: usize = 1_000;
/// Columns with a higher correlation count as duplicates.
const SAME: f64 = 0.999;

#[derive(Parser)]
struct Args {
    file: PathBuf,
    #[arg(long)]
    rows: usize,
    #[arg(long)]
    columns: usize,
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
    let mut histories = business.iter().map(|customer| customer.history());
    let first: Vec<_> = histories.by_ref().take(FIRST).collect();
    let spec = Spec::default();
    let mut profile = DataProfile::default();
    first.iter().for_each(|history| profile.add(history, args.end));
    let plan = profile.plan(&spec.features);
    let sampling = Sampling::new(Target::Churn, &spec, &profile, args.end);

    let (mut places, mut columns, mut labels) = (Vec::new(), vec![Vec::new(); args.columns], Vec::new());
    let mut rows = Snapshots::default();
    for (n, history) in first.into_iter().chain(histories).enumerate() {
        rows.add("", &history, &plan, &sampling);
        if n < FIRST {
            continue;
        }
        if places.is_empty() {
            places = choose(&rows.features, plan.width(), args.columns);
        }
        labels.append(&mut rows.label);
        for row in rows.features.chunks(plan.width()) {
            for (column, place) in columns.iter_mut().zip(&places) {
                column.push(logarithm(row[*place]));
            }
        }
        rows = Snapshots::default();
        if labels.len() >= args.rows {
            break;
        }
    }
    let mut file = BufWriter::with_capacity(1 << 20, File::create(args.file)?);
    for label in &labels[..args.rows] {
        file.write_all(&[u8::from(*label)])?;
    }
    for column in &mut columns {
        column.truncate(args.rows);
        standardise(column);
        for value in column {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

fn logarithm(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.signum() * value.abs().ln_1p() }
}

/// Subtracts the mean and divides by the standard deviation, which it returns.
fn standardise(column: &mut [f64]) -> f64 {
    let count = column.len() as f64;
    let mean = column.iter().sum::<f64>() / count;
    column.iter_mut().for_each(|value| *value -= mean);
    let deviation = (column.iter().map(|value| value * value).sum::<f64>() / count).sqrt();
    column.iter_mut().for_each(|value| *value /= deviation);
    deviation
}

fn choose(features: &[f64], width: usize, wanted: usize) -> Vec<usize> {
    let (mut places, mut chosen) = (Vec::new(), Vec::<Vec<f64>>::new());
    for place in 0..width {
        let mut column: Vec<f64> = features.chunks(width).map(|row| logarithm(row[place])).collect();
        let differs = standardise(&mut column) > 1e-3;
        let dot = |other: &Vec<f64>| column.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        if differs && chosen.iter().all(|other| dot(other).abs() < SAME * column.len() as f64) {
            chosen.push(column);
            places.push(place);
        }
        if places.len() == wanted {
            break;
        }
    }
    places
}
