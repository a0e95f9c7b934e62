//! Lowers a plan to Knative Serving and Eventing: the files that `kubectl apply` takes, and a page on how to.
//!
//! Read on in `lower`: one call per kind of object, in the order in which a cluster needs them. `checks/` holds the rules
//! of this target alone, `resources/` one file per kind, `services.rs` how units become Services.

mod capabilities;
mod checks;
mod connections;
mod emit;
mod lower;
mod names;
mod readme;
mod resources;
mod services;

use updraft_model::{App, Artifacts, Capabilities, Diagnostic, Explain, Plan, Settings, Sink, Target, Unit};

/// `build --target knative`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Knative;

/// The commands that create the secrets which a plan's manifests name, each with a comment line before it: for a person to
/// run, since the compiler sees no values.
pub fn secret_commands(plan: &Plan) -> Vec<String> {
    readme::secret_commands(&lower::Context::new(plan))
}

/// Where an application's dead letters are looked after: jobs are made of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterJob {
    /// The app's namespace.
    pub namespace: String,
    /// The name of the CronJob that never runs by itself.
    pub cron_job: String,
}

/// What jobs that look after an application's dead letters are made of; `None` if it can have none.
pub fn dead_letter_job(app: &App, settings: &Settings) -> Option<DeadLetterJob> {
    let names = names::Names::new(app, settings);
    let job = || DeadLetterJob { cron_job: names.object(names::DEAD_LETTER_JOB), namespace: names.namespace.clone() };
    services::has_events(app).then(job)
}

impl Target for Knative {
    fn id(&self) -> &'static str {
        "knative"
    }

    fn capabilities(&self) -> &'static Capabilities {
        &capabilities::CAPABILITIES
    }

    fn check(&self, app: &App, units: &[Unit], settings: &Settings, sink: &mut Sink) {
        checks::run(&checks::Subject { app, units, settings }, sink);
    }

    fn explains(&self) -> &'static [Explain] {
        checks::EXPLAINS
    }

    fn emit(&self, plan: &Plan) -> Result<Artifacts, Diagnostic> {
        let emitted = lower::lower(plan).and_then(|lowered| emit::emit(plan, &lowered));
        emitted.map_err(|error| Diagnostic::error("UD1000", format!("a manifest could not be written: {error}")))
    }
}
