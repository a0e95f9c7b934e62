//! The targets that `--target` may name.

use clap::ValueEnum;
use updraft_aws_lambda::AwsLambda;
use updraft_knative::Knative;
use updraft_model::Target;

/// A target's name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetName {
    /// Knative Serving and Eventing
    Knative,
    /// AWS Lambda, and the services beside it
    AwsLambda,
}

impl TargetName {
    /// The target itself.
    pub(crate) fn target(self) -> &'static dyn Target {
        match self {
            TargetName::Knative => &Knative,
            TargetName::AwsLambda => &AwsLambda,
        }
    }
}

/// All targets.
pub(crate) fn all() -> impl Iterator<Item = &'static dyn Target> {
    TargetName::value_variants().iter().map(|name| name.target())
}
