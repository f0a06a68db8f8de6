//! SQLite as one would use it without Tally: aggregates in SQL through sqlx, and inserts through the C API.

use std::{
    error::Error,
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use rusqlite::{Connection, params};
use sqlx::{
    AssertSqlSafe, Row,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tally_model::time::Time;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs a statement for one customer after the other in 8 tasks; prints statements per second
    Sql {
        database: PathBuf,
        /// A file with the statement; $1 is the customer, and the first column must be a count above 0
        statement: PathBuf,
        #[arg(long)]
        customers: u64,
        #[arg(long)]
        seconds: f64,
    },
    /// Inserts the rows of `interactions.copy`, 10,000 per transaction; prints rows per second
    Ingest { database: PathBuf, rows: PathBuf },
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Arguments::parse().command {
        Task::Sql { database, statement, customers, seconds } => {
            let statement = std::fs::read_to_string(statement)?;
            println!("{:.1}", sql(database, statement, customers, Duration::from_secs_f64(seconds)).await?);
        }
        Task::Ingest { database, rows } => println!("{:.1}", ingest(&database, &rows)?),
    }
    Ok(())
}

const TASKS: u64 = 8;

async fn sql(database: PathBuf, statement: String, customers: u64, time: Duration) -> Result<f64, Failure> {
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    // Four connections for eight tasks: more of them measured slower.
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
    let statement: Arc<str> = statement.into();
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (pool, statement) = (pool.clone(), Arc::clone(&statement));
        tasks.spawn(async move {
            let (mut done, mut n) = (0_u64, task * 982_451_653);
            while begin.elapsed() < time {
                n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let id = format!("C{:05}", (n >> 33) % customers);
                let query = sqlx::query(AssertSqlSafe(&*statement)).bind(&id);
                let row = query.fetch_one(&pool).await?;
                if row.try_get::<i64, _>(0)? < 1 {
                    return Err(Failure::from(format!("{id} has no interactions")));
                }
                done += 1;
            }
            Ok(done)
        });
    }
    let mut done = 0;
    while let Some(task) = tasks.join_next().await {
        done += task??;
    }
    Ok(done as f64 / begin.elapsed().as_secs_f64())
}

fn ingest(database: &PathBuf, rows: &PathBuf) -> Result<f64, Failure> {
    let connection = Connection::open(database)?;
    // The same settings as Tally's.
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
    let mut insert = connection.prepare("INSERT INTO interactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    let begin = Instant::now();
    let mut done = 0_u64;
    for line in BufReader::with_capacity(1 << 20, File::open(rows)?).lines() {
        let line = line?;
        if done.is_multiple_of(10_000) {
            connection.execute_batch(if done == 0 {
                "BEGIN IMMEDIATE"
            } else {
                "COMMIT; BEGIN IMMEDIATE"
            })?;
        }
        let mut fields = line.split('\t');
        let mut field = || fields.next().ok_or("a field is missing");
        let (customer, id, kind) = (field()?, field()?, field()?);
        let (occurred, recorded): (Time, Time) = (field()?.parse()?, field()?.parse()?);
        let amount = field()?.parse::<i64>().ok();
        insert.execute(params![customer, id, kind, occurred.0, recorded.0, amount, field()?, field()?])?;
        done += 1;
    }
    connection.execute_batch("COMMIT")?;
    Ok(done as f64 / begin.elapsed().as_secs_f64())
}
