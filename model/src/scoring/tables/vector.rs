//! Vectors in single precision, and sums in a fixed order.

/// Numbers side by side, as the processor adds them.
pub(crate) type Lanes = [f32; LANES];
pub(super) const LANES: usize = 8;
/// Numbers, filled up with zeros.
pub(super) type Vector = Box<[Lanes]>;

/// The numbers of the time-dependent lines, and after them those of x₀ and the fixed lines.
pub(super) fn vector(dynamic: impl Iterator<Item = f64>, fixed: impl Iterator<Item = f64>) -> Vector {
    let mut vector: Vec<f32> = dynamic.map(|number| number as f32).collect();
    vector.resize(vector.len().next_multiple_of(LANES), 0.0);
    vector.extend(fixed.map(|number| number as f32));
    vector.resize(vector.len().next_multiple_of(LANES), 0.0);
    vector.as_chunks().0.into()
}

/// Adds `x` times the vector.
pub(super) fn add(sums: &mut [Lanes], x: f32, vector: &[Lanes]) {
    for (sums, numbers) in sums.iter_mut().zip(vector) {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += x * number;
        }
    }
}

/// The sum of the numbers at these indices.
pub(super) fn sum_at(numbers: &[f32], indices: &[usize]) -> f64 {
    // In a single sum, each addition would wait for the one before.
    let mut sums = [0.0; 4];
    let (fours, rest) = indices.as_chunks::<4>();
    for four in fours {
        for (sum, index) in sums.iter_mut().zip(four) {
            *sum += f64::from(numbers[*index]);
        }
    }
    let rest: f64 = rest.iter().map(|index| f64::from(numbers[*index])).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// The inner product of long vectors.
pub(super) fn product(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a, rest_of_a) = a.as_chunks::<LANES>();
    let (b, rest_of_b) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = rest_of_a.iter().zip(rest_of_b).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}
