//! Every target on its corpus, and on mutations of it that are the same in every run. `cargo fuzz` finds what these do not;
//! what it finds becomes a file of the corpus.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    alloc::System,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256PlusPlus;
use tally_cli::import::{read_customers, read_interactions};
use tally_fuzz::Server;
use tally_model::{
    artifact::Artifact,
    history::Packed,
    insight::{InsightSpec, alert::AlertRules},
    spec::Spec,
};
use tonic::Code;

#[global_allocator]
static ALLOCATOR: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Memory is measured for the whole process: one target at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A target, and how it is run.
struct Target<'a> {
    name: &'a str,
    body: &'a dyn Fn(&[u8]),
    mutations: usize,
    /// What mutations put in and replace.
    words: &'a [&'a str],
    /// The most memory that it may take: so many bytes, and so many for each byte of the input.
    memory: (usize, usize),
}

impl Target<'_> {
    fn check(&self) {
        let corpus = corpus(self.name);
        assert!(corpus.len() > 10, "{}: {} files", self.name, corpus.len());
        // What is prepared once does not count as the memory of an input.
        (self.body)(&[]);
        for (path, input) in &corpus {
            self.run(input, &path.display().to_string());
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        for number in 0..self.mutations {
            let (_, input) = corpus.choose(&mut random).unwrap();
            let (_, other) = corpus.choose(&mut random).unwrap();
            let input = mutation(input, other, self.words, &mut random);
            self.run(&input, &format!("mutation {number}"));
        }
    }

    fn run(&self, input: &[u8], what: &str) {
        ALLOCATOR.reset_peak_memory();
        let ended = catch_unwind(AssertUnwindSafe(|| (self.body)(input)));
        let peak = ALLOCATOR.get_peak_memory();
        let shown = || format!("{}, {what}: b\"{}\"", self.name, input.escape_ascii());
        if let Err(panic) = ended {
            eprintln!("{}", shown());
            resume_unwind(panic);
        }
        let (least, per_byte) = self.memory;
        assert!(peak <= least + per_byte * input.len(), "{peak} bytes of memory for {}", shown());
    }
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Some changes to an input: bits, bytes, words, pieces of it and of another one.
fn mutation(input: &[u8], other: &[u8], words: &[&str], random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.gen_range(1..=4) {
        let at = random.gen_range(0..=bytes.len());
        let end = (at + random.gen_range(0..=32)).min(bytes.len());
        match random.gen_range(0..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.gen_range(0..8),
            1 if at < bytes.len() => {
                bytes[at] = *[0, 1, 0x7f, 0x80, 0xff, random.r#gen()].choose(random).unwrap();
            }
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            5 => {
                let from = random.gen_range(0..=other.len());
                let to = (from + random.gen_range(0..=64)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            6 => drop(bytes.splice(at..at, words.choose(random).unwrap_or(&"").bytes())),
            _ => replace_word(&mut bytes, at, words.choose(random).unwrap_or(&"").as_bytes()),
        }
    }
    bytes
}

/// Puts a word in the place of the next one.
fn replace_word(bytes: &mut Vec<u8>, at: usize, word: &[u8]) {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
    let Some(start) = bytes[at..].iter().position(is_of_word).map(|start| at + start) else { return };
    let length = bytes[start..].iter().position(|byte| !is_of_word(byte));
    let end = length.map_or(bytes.len(), |length| start + length);
    drop(bytes.splice(start..end, word.iter().copied()));
}

/// Keeps the other targets from running.
fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a target, and asserts that its corpus has at least so many inputs that are not refused: others test little.
fn check(target: &Target<'_>, least: usize, is_read: impl Fn(&[u8]) -> bool) {
    let read = corpus(target.name).iter().filter(|(_, input)| is_read(input)).count();
    let hint = "`cargo run -p tally-fuzz --example corpus` writes those that depend on formats";
    assert!(read >= least, "{}: only {read} inputs of the corpus are read; {hint}", target.name);
    target.check();
}

const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "255",
    "4294967296",
    "1e308",
    "-1e-308",
    "0.5",
    "null",
    "NaN",
    "9223372036854775807",
    "[]",
];

#[test]
fn artifact() {
    let _alone = alone();
    let target = Target {
        name: "artifact",
        body: &tally_fuzz::artifact,
        mutations: 4_000,
        words: &NUMBERS,
        memory: (4 << 20, 100),
    };
    check(&target, 2, |input| Artifact::from_bytes(input).is_ok());
}

#[test]
fn histories() {
    let _alone = alone();
    let target = Target {
        name: "histories",
        body: &tally_fuzz::histories,
        mutations: 20_000,
        words: &["\0", "\u{1}", "\u{2}", "\u{3}", "\u{7f}", "a", "survey"],
        memory: (4 << 20, 2_000),
    };
    check(&target, 8, |input| Packed::from_bytes(input).unpack().is_ok());
}

#[test]
fn specs() {
    let _alone = alone();
    let words: Vec<&str> = NUMBERS
        .into_iter()
        .chain(["\"\"", "nan", "inf", "true", "\"auto\"", "[[rule]]\n", "\n", "{}"])
        .collect();
    let target = Target {
        name: "specs",
        body: &tally_fuzz::specs,
        mutations: 3_000,
        words: &words,
        memory: (4 << 20, 1_000),
    };
    check(&target, 8, |input| {
        let text = String::from_utf8_lossy(input);
        Spec::parse(&text).is_ok() || InsightSpec::parse(&text).is_ok() || AlertRules::parse(&text).is_ok()
    });
}

#[test]
fn requests() {
    let _alone = alone();
    let server = Server::of_demo();
    let target = Target {
        name: "requests",
        body: &|input| {
            let _ = tally_fuzz::requests(&server, input);
        },
        mutations: 2_000,
        words: &["\u{8}", "\n", "\u{12}", "\u{1a}", "\0", "C00001", "purchase", "churn/1"],
        memory: (64 << 20, 1_000),
    };
    check(&target, 15, |input| tally_fuzz::requests(&server, input) == Code::Ok);
}

#[test]
fn imports() {
    let _alone = alone();
    let server = Server::empty();
    let words: Vec<&str> = NUMBERS
        .into_iter()
        .chain([
            ",",
            ";",
            "\t",
            "\"",
            "\"\"",
            "\n",
            "\r\n",
            "\r",
            "N/A",
            "12.5",
            "1,5",
            "2024-02-29",
            "\u{feff}",
            "sep=;\n",
        ])
        .collect();
    let target = Target {
        name: "imports",
        body: &|input| tally_fuzz::imports(&server, input),
        mutations: 1_000,
        words: &words,
        memory: (64 << 20, 1_000),
    };
    check(&target, 15, |input| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, input).unwrap();
        read_customers(&file).is_ok() || read_interactions(&file).is_ok()
    });
}
