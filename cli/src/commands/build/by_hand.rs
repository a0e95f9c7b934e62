//! An application's stacks, in the order in which they are deployed, and how that is done without `deploy`, so that it knows them
//! again.

use crate::aws::templates;
use crate::report::Reporter;
use serde_json::Value;
use std::path::Path;
use updraft_aws_deploy::{PART_TAG, TAG, keeps};
use updraft_aws_lambda::{APPLICATION, PARTS, TEMPLATE};
use updraft_model::Artifacts;

/// The parts of an application, by their names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// Those that keep something: functions find it by what these tell of it.
    keeping: Vec<String>,
    /// Those with functions.
    functions: Vec<String>,
}

impl Parts {
    pub(super) fn of(artifacts: &Artifacts) -> Self {
        let all = templates(artifacts).parts.into_iter();
        let is_keeping = |text: &[u8]| serde_json::from_slice::<Value>(text).is_ok_and(|template| keeps(&template));
        let (keeping, functions): (Vec<_>, Vec<_>) = all.partition(|(_, text)| is_keeping(text));
        let names = |parts: Vec<(String, _)>| parts.into_iter().map(|(name, _)| name).collect();
        Parts { keeping: names(keeping), functions: names(functions) }
    }

    /// In their order.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.keeping.iter().chain(&self.functions)
    }

    /// Which there are, if there are some.
    pub(super) fn tell(&self, reporter: &Reporter) {
        if self.names().next().is_some() {
            reporter.status("Stacks", &self.said());
        }
    }

    fn said(&self) -> String {
        let some = |parts: &[String], what: &str| match parts {
            [] => String::new(),
            parts => format!("; {} {what}: {}", parts.len(), parts.join(", ")),
        };
        let keeping = some(&self.keeping, "with what modules keep");
        format!("the main one{keeping}{}", some(&self.functions, "with functions"))
    }
}

/// The commands, one for each stack, each after those that it names something of. `parameters` say where the code is.
pub(super) fn commands(parts: &Parts, (app, stack): (&str, &str), folder: &Path, parameters: &str) -> Vec<String> {
    let deploy = |stack: &str, template: &Path| {
        format!(
            "aws cloudformation deploy --stack-name {stack} --template-file {} --s3-bucket BUCKET --capabilities CAPABILITY_IAM",
            template.display()
        )
    };
    let main =
        format!("{} --tags {TAG}={app} --parameter-overrides {parameters}", deploy(stack, &folder.join(TEMPLATE)));
    let part = |part: &String| {
        let template = folder.join(PARTS).join(format!("{part}.json"));
        format!(
            "{} --tags {TAG}={app} {PART_TAG}={stack} --parameter-overrides {parameters} {APPLICATION}={stack}",
            deploy(&format!("{stack}-{part}"), &template)
        )
    };
    [main].into_iter().chain(parts.names().map(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::build::fixture::compiled;

    /// Two modules, each with a queue, a consumer and a function that sends.
    fn parts(settings: &str) -> Parts {
        let module = |name: &str| {
            format!(
                "pub mod {name} {{
                    use updraft::prelude::*;
                    #[queue(message = String)] pub struct Jobs{name};
                    #[consumer(Jobs{name})] async fn work(job: String) -> Result<()> {{ todo!() }}
                    #[http(post, \"/{name}\")] async fn begin(jobs: Queue<Jobs{name}>) -> Result<()> {{ todo!() }}
                }}"
            )
        };
        Parts::of(&compiled(&["zebra", "ant"].map(module).concat(), settings).1)
    }

    #[test]
    fn what_is_kept_comes_before_functions() {
        let parts = parts("[target.aws-lambda]\ndata = \"module\"\nresources_per_stack = 12\n");
        assert_eq!(parts.keeping, ["shop-ant--data", "shop-zebra--data"]);
        assert!(parts.functions.len() > 1 && parts.functions[0].starts_with("shop-ant"), "{parts:?}");
        let functions = parts.functions.join(", ");
        let said = format!(
            "the main one; 2 with what modules keep: shop-ant--data, shop-zebra--data; {} with functions: {functions}",
            parts.functions.len()
        );
        assert_eq!(parts.said(), said);
        let commands = commands(&parts, ("shop", "prod"), Path::new("out"), "CodeKey=k");
        let stacks = commands.iter().map(|command| command.split(' ').nth(4).unwrap());
        let of_parts = parts.keeping.iter().chain(&parts.functions).map(|part| format!("prod-{part}"));
        assert!(stacks.eq(["prod".to_owned()].into_iter().chain(of_parts)), "{commands:#?}");
        assert!(commands[1].contains("--template-file out/stacks/shop-ant--data.json"), "{}", commands[1]);
        assert!(commands[1].ends_with("CodeKey=k Application=prod"), "{}", commands[1]);
    }

    #[test]
    fn one_stack_has_no_parts() {
        let parts = parts("");
        assert_eq!(parts, Parts { keeping: Vec::new(), functions: Vec::new() });
        assert_eq!(commands(&parts, ("shop", "shop"), Path::new("out"), "CodeKey=k").len(), 1);
    }
}
