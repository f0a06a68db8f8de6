//! Fits Tally's regression to a dense matrix, for comparison with scikit-learn. Prints seconds,
//! peak memory and the coefficients as JSON.
//!
//! The file has `rows` labels of one byte each, then the columns, one after the other, as f64.

use std::{error::Error, fs::File, io::Read, path::PathBuf, time::Instant};

use clap::Parser;
use ndarray::{Array2, ShapeBuilder};
use tally_model::{training::design::Design, training::fit::Fit};

#[derive(Parser)]
struct Args {
    file: PathBuf,
    #[arg(long)]
    rows: usize,
    #[arg(long)]
    columns: usize,
    #[arg(long)]
    penalty: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut file = File::open(args.file)?;
    let mut labels = vec![0; args.rows];
    file.read_exact(&mut labels)?;
    let labels: Vec<bool> = labels.into_iter().map(|label| label == 1).collect();
    let mut matrix = Array2::<f64>::zeros((args.rows, args.columns).f());
    let mut bytes = vec![0; 8 * args.rows.min(1 << 16)];
    let flat = matrix.as_slice_memory_order_mut().ok_or("a fresh matrix is contiguous")?;
    for chunk in flat.chunks_mut(bytes.len() / 8) {
        let bytes = &mut bytes[..8 * chunk.len()];
        file.read_exact(bytes)?;
        for (value, bytes) in chunk.iter_mut().zip(bytes.chunks_exact(8)) {
            *value = f64::from_le_bytes(bytes.try_into()?);
        }
    }
    let design = Design::from(matrix);
    let begin = Instant::now();
    let fit = Fit::new(&design, &labels, args.penalty, None)?;
    let seconds = begin.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    let weights = fit.weights.to_vec();
    println!(
        "{}",
        serde_json::json!({ "seconds": seconds, "peak_bytes": kib * 1024, "intercept": fit.intercept, "weights": weights })
    );
    Ok(())
}
