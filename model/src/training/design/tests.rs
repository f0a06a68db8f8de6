//! The design against the matrix that it represents, in every form of the encoder.

use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use super::Design;
use crate::{
    encode::{Encoder, Form, Sample},
    features::{Measure, Scale},
};

const ROWS: usize = 400;
const FORMS: [Form; 4] = [Form::Plain, Form::Log, Form::Spline, Form::Steps];

/// Three numbers, one of them with gaps, and a category.
fn raw() -> Vec<f64> {
    let row = |n: usize| {
        let n = n as f64;
        let gap = if n % 7.0 == 0.0 { f64::NAN } else { (n * 0.37).sin() };
        [n, (n * 1.7).cos().exp() * 100.0, gap, (n * n) % 3.0]
    };
    (0..ROWS).flat_map(row).collect()
}

fn encoder(raw: &[f64], rows: &[usize], form: Form) -> Encoder {
    let levels = ["north", "south", "west"].map(str::to_owned).to_vec();
    let region = Measure::Attribute { name: "region".into(), scale: Scale::Category { levels } };
    let count = |n| Measure::Count { kind: format!("k{n}"), days: None };
    let measures = [count(0), count(1), count(2), region];
    let sample = Sample { measures: &measures, raw, rows, customers: rows, rarer: ROWS / 2 };
    Encoder::fit(sample, form, &[0, 1, 2, 3]).with_crosses(sample, &[[0, 3], [1, 2]], 3.0)
}

fn near(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
}

#[test]
fn rows_are_those_of_the_encoder_and_columns_are_centred() {
    let (raw, rows) = (raw(), (0..ROWS).collect::<Vec<_>>());
    for form in FORMS {
        let encoder = encoder(&raw, &rows, form);
        assert_eq!(encoder.crosses.len(), 2);
        assert_eq!(encoder.column_names().len(), encoder.width());
        let design = Design::new(&encoder, &raw, 4, &rows);
        let matrix = design.to_matrix();
        let mut out = vec![0.0; encoder.width()];
        for row in [0, 1, 14, ROWS - 1] {
            encoder.encode(&raw[row * 4..row * 4 + 4], &mut out);
            assert_eq!(matrix.row(row).to_vec(), out, "{form}");
            let mut added = Array1::zeros(encoder.width());
            design.add_row(row, 2.0, added.view_mut());
            assert_eq!(added / 2.0, matrix.row(row));
        }
        for mean in matrix.mean_axis(Axis(0)).unwrap() {
            assert!(mean.abs() < 1e-10, "{form}: {mean}");
        }
        let some = [ROWS - 1, 3, 3, 17];
        assert_eq!(design.select(&some).to_matrix(), matrix.select(Axis(0), &some));
    }
}

#[test]
fn products_are_those_of_the_matrix() {
    let (raw, rows) = (raw(), (0..ROWS).collect::<Vec<_>>());
    for form in FORMS {
        let encoder = encoder(&raw, &rows, form);
        let design = Design::new(&encoder, &raw, 4, &rows);
        let matrix = design.to_matrix();
        let v: Array1<f64> = rows.iter().map(|n| (n % 5) as f64 * 0.1).collect();
        assert!(near(design.transposed_dot(&v).view(), matrix.t().dot(&v).view()));
        let w: Array1<f64> = (0..encoder.width()).map(|n| (n as f64).sin()).collect();
        assert!(near(design.dot(w.view()).view(), matrix.dot(&w).view()));
        let (log_odds, sum, slopes) = design.slopes(0.5, w.view(), |row, z| (z, v[row] * z));
        assert!(near(log_odds.view(), (matrix.dot(&w) + 0.5).view()));
        assert!((sum - log_odds.sum()).abs() < 1e-9);
        let products = &log_odds * &v;
        assert!(near(slopes.slice(s![1..]), matrix.t().dot(&products).view()));
        assert!((slopes[0] - products.sum()).abs() < 1e-9);
        let ones = Array2::ones((ROWS, 1));
        let with_one = ndarray::concatenate![Axis(1), ones, matrix];
        let gram = with_one.t().dot(&(&with_one * &v.view().insert_axis(Axis(1))));
        for (a, b) in design.gram(&v).rows().into_iter().zip(gram.rows()) {
            assert!(near(a, b), "{form}");
        }
    }
}

#[test]
fn the_second_derivatives_of_many_rows_are_summed_up_in_parts() {
    let (raw, rows) = (raw(), (0..ROWS).collect::<Vec<_>>());
    let encoder = encoder(&raw, &rows, Form::Steps);
    let v: Array1<f64> = rows.iter().map(|n| (n % 5) as f64 * 0.1).collect();
    let once = Design::new(&encoder, &raw, 4, &rows).gram(&v);
    // More rows than are weighted at a time.
    let times = 50;
    let many = Design::new(&encoder, &raw, 4, &rows.repeat(times))
        .gram(&v.iter().copied().cycle().take(ROWS * times).collect());
    assert!((&many / times as f64 - once).iter().all(|difference| difference.abs() < 1e-9));
}
