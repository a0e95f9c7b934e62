//! Deploys what `updraft-aws-lambda` makes: code and template into a bucket, a change set, a plan that people can read, and
//! CloudFormation followed to its end.
//!
//! The truth is in the stack: what is live is what CloudFormation says of it, so that a run that was interrupted anywhere is
//! completed by the next. Records beside the code add what a stack can't hold: the application's graph, who and when.
//!
//! Nothing is printed here. What happens is told through [`News`]; what went wrong is an [`Error`] that says what to do.

mod between;
mod bucket;
mod client;
mod cloudformation;
mod code;
mod deployer;
mod drift;
mod error;
mod explain;
mod follow;
mod history;
mod letters;
mod parameters;
mod parts;
pub mod plan;
mod registry;
mod remove;
mod repository;
mod s3;
mod secrets;
mod sequence;
mod stack;
mod steps;

pub use client::{Account, Client};
pub use cloudformation::{Action, Change, Drift, Event, Stack};
pub use code::{Code, Image};
pub use deployer::{Deployer, Issuer, NoRole};
pub use error::{Error, Result};
pub use explain::{Failed, explain};
pub use follow::{News, Outcome};
pub use history::{Ending, Entry, Record, choose};
pub use letters::{Act, Selection};
pub use parts::{PART_TAG, Part, keeps};
pub use remove::Leaving;
pub use secrets::Empty;
pub use sequence::{Ended, Staged};
pub use stack::{Clear, Live, Proposal, Release, Standing, Target, Templates, connect};

/// The tag that tells our stacks from others: its value is the application's name.
pub const TAG: &str = "updraft:app";
