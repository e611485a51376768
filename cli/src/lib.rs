//! millpond as a program: many writes in, one operation per document out, from the command line.
//!
//! # Design
//! Messages go to standard error, data to standard output. A command returns an exit status or a
//! [`Failure`], and only [`run`] prints it. The engine is met in [`pond`], in the writers of
//! [`replay`], in [`dead_letters`], in [`estimate`], in [`impact`] and in [`journal`], nowhere else; the program uses its public
//! interface alone.

// The command line, then the commands in the order of its help, then what they are made of.
pub mod args;
pub mod failure;

pub mod dead_letters;
pub mod estimate;
pub mod generate;
pub mod impact;
pub mod journal;
pub mod replay;
pub mod store;

pub mod bulk;
pub mod clock;
pub mod distinct;
pub mod input;
pub mod memory;
pub mod message;
pub mod pond;
pub mod progress;
pub mod rejects;
pub mod sync;
pub mod units;

use args::{Args, Command, JournalCommand, LettersCommand};
use clap::Parser;
use failure::{Failure, WELL};
use std::process::ExitCode;

/// Runs the program with the arguments of the process.
pub fn run() -> ExitCode {
    let result = match Args::parse().command {
        Command::Replay(args) => replay::run(&args),
        Command::Get(args) => store::get(&args).map(|()| WELL),
        Command::Scan(args) => store::scan(&args).map(|()| WELL),
        Command::Verify(args) => store::verify(&args),
        Command::Stats(args) => store::stats(&args).map(|()| WELL),
        Command::Journal(JournalCommand::Inspect(args)) => journal::inspected(&args),
        Command::Journal(JournalCommand::Verify(args)) => journal::verify(&args),
        Command::Journal(JournalCommand::Repair(args)) => journal::repair(&args),
        Command::DeadLetters(LettersCommand::List(args)) => dead_letters::list(&args),
        Command::DeadLetters(LettersCommand::Replay(args)) => dead_letters::replay(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Impact(args) => impact::run(&args),
        Command::Generate(args) => generate::run(&args).map(|()| WELL),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            if !matches!(failure, Failure::ReaderGone) {
                message::error(&failure.to_string());
            }
            failure.status()
        }
    }
}
