//! Evaluates the queries of a file over a database directory, without HTTP: for profiles.
//!
//! `ask DIR FILE END REPETITIONS`; a line of the file is `TYPE<TAB>range<TAB>step<TAB>expr` with TYPE `range` or `instant`,
//! as the comparing program reads it; END is in Unix seconds. Prints the median of wall and CPU time of each query in milliseconds.

use anyhow::{Context as _, bail};
use bench::database::Database;
use promql::{Engine, EngineOptions, QueryOptions};
use runtime::clock::SystemClock;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

struct Question {
    /// Length and step of a range in milliseconds; nothing for an instant query.
    range: Option<(i64, i64)>,
    expr: String,
}

fn questions(text: &str) -> anyhow::Result<Vec<Question>> {
    let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.splitn(4, '\t').collect();
            let ms = |text: &str| model::duration::parse_ms(text).map_err(|e| anyhow::anyhow!("{line}: {e}"));
            match fields[..] {
                ["range", range, step, expr] => {
                    Ok(Question { range: Some((ms(range)?, ms(step)?)), expr: expr.to_owned() })
                }
                ["instant", _, _, expr] => Ok(Question { range: None, expr: expr.to_owned() }),
                _ => bail!("{line:?}: want TYPE<TAB>range<TAB>step<TAB>expr"),
            }
        })
        .collect()
}

/// CPU time of this process in milliseconds.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let own: f64 = stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let all: f64 = tasks
        .filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok())
        .filter_map(|s| s.split(' ').next().and_then(|n| n.parse::<f64>().ok()))
        .sum();
    all.max(own) / 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, file, end, reps] = &args[..] else { bail!("usage: ask DIR FILE END REPETITIONS") };
    let questions = questions(&std::fs::read_to_string(file).with_context(|| file.clone())?)?;
    let end: i64 = end.parse::<i64>().context("END")? * 1000;
    let reps: usize = reps.parse().context("REPETITIONS")?;
    let clock = SystemClock::shared();
    let options = tsdb::Options { compaction: false, ..tsdb::Options::default() };
    let database = Database(tsdb::Db::open(dir.as_ref(), options, clock.clone())?);
    database.0.wait_for_replay(std::time::Duration::from_secs(600));
    let engine = Engine::new(EngineOptions::default());
    let (mut walls, mut cpus) = (0.0, 0.0);
    for question in &questions {
        let (mut wall, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..reps.max(1) {
            let (began, before) = (clock.monotonic(), cpu_ms());
            // parsing belongs to a query
            let expr =
                promql::parse(&question.expr).map_err(|e| anyhow::anyhow!("{}: {e}", question.expr))?;
            let options = QueryOptions { text: question.expr.clone(), ..QueryOptions::default() };
            let result = match question.range {
                Some((range, step)) => engine.range(&database, &expr, end - range, end, step, &options),
                None => engine.instant(&database, &expr, end, &options),
            };
            std::hint::black_box(result.with_context(|| question.expr.clone())?);
            wall.push((clock.monotonic() - began).as_secs_f64() * 1e3);
            cpu.push(cpu_ms() - before);
        }
        let (wall, cpu) = (median(wall), median(cpu));
        println!("{wall:9.3} {cpu:9.3}  {}", question.expr);
        walls += wall;
        cpus += cpu;
    }
    println!("{walls:9.3} {cpus:9.3}  sum");
    Ok(())
}
