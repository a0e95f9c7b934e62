//! Lowers a plan to AWS: functions on Lambda, and beside them one CloudFormation template of all that they need.
//!
//! Read on in `lower`: one call per group of resources, in the order in which each names only what is there. `resources/`
//! holds AWS's types, one file per service, `checks/` the rules of this target alone, `units.rs` how units become functions.
//!
//! `[bindings]` of `Updraft.toml` say what keeps data in clusters; here each kind of resource has one of AWS's services, and
//! only the addresses of externals count. PostgreSQL is nobody's but the team's: a secret holds its URL.

mod capabilities;
mod checks;
mod emit;
mod intrinsics;
mod lower;
mod names;
mod resources;
mod split;
mod template;
mod units;

use updraft_model::{App, Artifacts, Capabilities, Diagnostic, Explain, Plan, Settings, Sink, Target, Unit};

/// `build --target aws-lambda`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLambda;

/// The parameters that say where the functions' code is: the bucket that holds a zip and the zip's key there, or an image. A
/// template has those of what it is for.
pub const CODE_PARAMETERS: [&str; 3] =
    [lower::ZIP_PARAMETERS[0].0, lower::ZIP_PARAMETERS[1].0, lower::IMAGE_PARAMETER.0];

/// What an image may take unpacked, in bytes (AWS, "Lambda quotas").
pub const IMAGE_BYTES: u64 = 10 << 30;

/// The template's path among the artifacts.
pub const TEMPLATE: &str = "template.json";

/// The folder of the artifacts with the templates of parts, of an application that is more than one stack holds: a part's name
/// and `.json`.
pub const PARTS: &str = "stacks";

/// The parameter of a part's template with the main stack's name.
pub const APPLICATION: &str = split::APPLICATION;

/// The longest name of a stack with parts, in characters: names of functions begin with it.
pub const LONGEST_STACK: usize = split::LONGEST_STACK;

/// What an application's stack is called unless somebody says otherwise: letters, digits and `-`.
pub fn default_stack(app: &App, settings: &Settings) -> String {
    let plain = |name: &str| name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    settings.aws_lambda.stack.clone().unwrap_or_else(|| plain(&app.name))
}

/// Whether functions need the engine of queues, whatever their handlers send to: for the messages that they take, or that nobody
/// would get.
pub fn keeps_messages(app: &App, units: &[Unit], settings: &Settings) -> bool {
    lower::Source::new(app, units, settings, String::new()).is_some_and(|source| source.keeps_messages())
}

impl Target for AwsLambda {
    fn id(&self) -> &'static str {
        "aws-lambda"
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
        emit::emit(plan)
            .map_err(|error| Diagnostic::error("UD2000", format!("the template could not be written: {error}")))
    }
}
