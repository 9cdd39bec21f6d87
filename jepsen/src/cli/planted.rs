//! `jepsen planted`

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::Format;
use super::print;
use super::run::{CommonArgs, commit};
use crate::cluster::Binary;
use crate::planted::{Catch, CaughtBy, Hunt, VARIABLE, hunts};
use crate::run::{Report, RunOptions, run};

/// `jepsen planted ...`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cargo build --release --features api/planted-bugs --bin ledgermq-planted
  jepsen planted --binary target/release/ledgermq-planted

Exits with 0 if every bug was found that the push tier must find, and nothing was found where no bug is; else with 1.")]
pub struct PlantedArgs {
    /// Only these bugs, with commas
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    bug: Vec<String>,
    /// Only those that the push tier must find
    #[arg(long)]
    push: bool,
    /// At most so many runs for each bug, each with another seed
    #[arg(long, default_value_t = 3)]
    tries: u32,
    /// The first run's seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    common: CommonArgs,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t)]
    output: Format,
}

impl PlantedArgs {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let binary = Binary::find(self.common.binary.as_deref())?;
        let chosen: Vec<Hunt> = hunts()
            .into_iter()
            .filter(|hunt| self.bug.is_empty() || self.bug.iter().any(|bug| bug == hunt.bug))
            .filter(|hunt| !self.push || hunt.by == CaughtBy::Push)
            .collect();
        anyhow::ensure!(!chosen.is_empty(), "there is no such bug: --bug takes {}", names());
        let directory = std::path::absolute(self.common.out.join("planted"))?;
        let mut catches = Vec::new();
        for hunt in &chosen {
            let catch = self.hunt(hunt, &directory, &binary).await;
            eprintln!("{}", row(&catch));
            catches.push(catch);
        }
        match self.output {
            Format::Json => println!("{}", json!({ "bugs": catches })),
            Format::Text => table(&chosen, &catches),
        }
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("planted.json"), serde_json::to_vec_pretty(&catches)?)?;
        Ok(ExitCode::from(u8::from(!catches.iter().all(Catch::is_good))))
    }

    async fn hunt(&self, hunt: &Hunt, directory: &Path, binary: &Binary) -> Catch {
        let begun = Instant::now();
        let mut catch = Catch {
            bug: hunt.bug.to_owned(),
            by: hunt.by,
            caught: false,
            violated: Vec::new(),
            tries: 0,
            seconds: 0,
            command: String::new(),
            trouble: Vec::new(),
        };
        while !catch.caught && catch.tries < self.tries {
            let options = self.options(hunt, directory, self.seed + u64::from(catch.tries));
            catch.tries += 1;
            catch.command = options.command();
            let bar = print::spinner();
            match run(&options, binary, &bar).await {
                Ok(report) => note(&mut catch, hunt, &report),
                // A cluster that does not even come up has the bug too, but not one that we can name.
                Err(error) => catch.trouble.push(format!("{error:#}").chars().take(300).collect()),
            }
            bar.finish_and_clear();
            let _ = std::fs::remove_dir_all(options.directory.join("cluster"));
        }
        catch.seconds = begun.elapsed().as_secs();
        catch
    }

    fn options(&self, hunt: &Hunt, directory: &Path, seed: u64) -> RunOptions {
        RunOptions {
            work: hunt.workload.into(),
            nemeses: hunt.nemeses.to_vec(),
            overlap: false,
            lasting: Duration::from_secs(hunt.seconds),
            seed,
            nodes: 3,
            broker_groups: 1,
            load: self.common.load(),
            directory: directory.join(format!("{}-{seed}", hunt.bug)),
            keep: false,
            environment: vec![(VARIABLE.to_owned(), hunt.bug.to_owned())],
            commit: commit(),
            in_namespaces: false,
        }
    }
}

fn note(catch: &mut Catch, hunt: &Hunt, report: &Report) {
    catch.violated = report.violated();
    catch.caught = catch.violated.iter().any(|violated| hunt.violates.contains(&violated.as_str()));
    if !catch.caught {
        catch.trouble.extend(report.reasons());
    }
}

fn names() -> String {
    hunts().iter().map(|hunt| hunt.bug).collect::<Vec<_>>().join(", ")
}

fn row(catch: &Catch) -> String {
    let word = match (catch.caught, catch.is_good()) {
        (true, _) => "caught",
        (false, true) => "missed",
        (false, false) => "MISSED",
    };
    format!(
        "{word:<7} {:<36} {:>4} s in {} runs; violated: {}",
        catch.bug,
        catch.seconds,
        catch.tries,
        if catch.violated.is_empty() { "-".to_owned() } else { catch.violated.join(", ") }
    )
}

fn table(hunts: &[Hunt], catches: &[Catch]) {
    println!("| Bug | Is | Looked for with | Found by | Violated | Seconds |");
    println!("|---|---|---|---|---|---|");
    for (hunt, catch) in hunts.iter().zip(catches) {
        let nemeses: Vec<String> = hunt.nemeses.iter().map(|nemesis| nemesis.name()).collect();
        let found = match (catch.caught, hunt.by) {
            (true, CaughtBy::Push) => "push tier",
            (true, _) => "long tier",
            (false, CaughtBy::Push) => "**not found**",
            (false, CaughtBy::Long) => "not found this time",
            (false, CaughtBy::Simulation) => "left to the simulation",
        };
        println!(
            "| {} | {} | {} under {} | {found} | {} | {} |",
            hunt.bug,
            hunt.means,
            hunt.workload.name(),
            nemeses.join(", "),
            catch.violated.join(", "),
            catch.seconds
        );
    }
    for catch in catches.iter().filter(|catch| !catch.is_good()) {
        println!("\n{} was not found:", catch.bug);
        for trouble in &catch.trouble {
            println!("  {trouble}");
        }
        println!("  {}", catch.command);
    }
}
