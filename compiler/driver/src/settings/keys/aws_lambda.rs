//! `[target.aws-lambda]`.

use super::Section;
use std::collections::BTreeMap;
use updraft_model::settings::{
    Architecture, AwsLambda, DataStacks, Entry, LambdaDatabase, LambdaFunction, Package, Rollout, SecretKeeper,
    Throttle,
};

/// What CodeDeploy has for functions, without settings of one's own there.
const ROLLOUTS: [(&str, Rollout); 8] = [
    ("canary-10-5m", Rollout::Canary { minutes: 5 }),
    ("canary-10-10m", Rollout::Canary { minutes: 10 }),
    ("canary-10-15m", Rollout::Canary { minutes: 15 }),
    ("canary-10-30m", Rollout::Canary { minutes: 30 }),
    ("linear-10-1m", Rollout::Linear { minutes: 1 }),
    ("linear-10-2m", Rollout::Linear { minutes: 2 }),
    ("linear-10-3m", Rollout::Linear { minutes: 3 }),
    ("linear-10-10m", Rollout::Linear { minutes: 10 }),
];

const SECRETS: [(&str, SecretKeeper); 2] =
    [("secrets-manager", SecretKeeper::SecretsManager), ("parameter-store", SecretKeeper::ParameterStore)];

pub(super) fn read(section: &Section<'_>) -> AwsLambda {
    let mut functions = BTreeMap::new();
    if let Some(section) = section.section("functions") {
        functions.insert("*".to_owned(), function(&section));
        section.finish();
    }
    if let Some(units) = section.section("units") {
        for (unit, _, value) in units.others() {
            let Some(section) = units.inner(unit, value) else { continue };
            functions.insert(unit.to_owned(), function(&section));
            section.finish();
        }
    }
    let throttle = section.section("throttle").map(|section| {
        let throttle = Throttle { rate: section.number("rate"), burst: section.number("burst") };
        section.finish();
        throttle
    });
    let database = section.section("database").map(|section| {
        let texts = |key| {
            let value = section.value(key);
            value.map_or_else(Vec::new, |value| section.texts(key, value).into_iter().map(|(text, _)| text).collect())
        };
        let database = LambdaDatabase {
            connections: section.number("connections"),
            server_connections: section.number("server_connections"),
            subnets: texts("subnets"),
            security_groups: texts("security_groups"),
        };
        section.finish();
        database
    });
    AwsLambda {
        stack: section.text("stack"),
        code_bucket: section.text("code_bucket"),
        architecture: section
            .choice("architecture", &[("arm64", Architecture::Arm64), ("x86_64", Architecture::X86)])
            .unwrap_or_default(),
        package: section.choice("package", &[("zip", Package::Zip), ("image", Package::Image)]).unwrap_or_default(),
        repository: section.text("repository"),
        log_retention_days: section.number("log_retention_days"),
        http: section.choice("http", &[("api", Entry::Api), ("function-url", Entry::FunctionUrl)]).unwrap_or_default(),
        data: section.choice("data", &[("main", DataStacks::Main), ("module", DataStacks::Module)]).unwrap_or_default(),
        resources_per_stack: section.number("resources_per_stack"),
        throttle: throttle.unwrap_or_default(),
        permissions_boundary: section.text("permissions_boundary"),
        secrets: section.choice("secrets", &SECRETS).unwrap_or_default(),
        rollout: section.choice("rollout", &ROLLOUTS),
        functions,
        database: database.unwrap_or_default(),
    }
}

fn function(section: &Section<'_>) -> LambdaFunction {
    LambdaFunction {
        memory: section.number("memory"),
        concurrency: section.number("concurrency"),
        reserved: section.number("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings_of;
    use super::*;

    #[test]
    fn functions_on_lambda() {
        let (settings, found) = settings_of(
            r#"
            [target.aws-lambda]
            stack = "shop-eu"
            code_bucket = "zips"
            architecture = "x86_64"
            package = "image"
            repository = "team/shop"
            log_retention_days = 14
            http = "function-url"
            data = "module"
            resources_per_stack = 300
            throttle = { rate = 100, burst = 200 }
            rollout = "linear-10-3m"
            secrets = "parameter-store"
            permissions_boundary = "shop-boundary"
            functions = { memory = 256 }

            [target.aws-lambda.units.web]
            memory = 1024
            concurrency = 10
            reserved = 20

            [target.aws-lambda.database]
            connections = 2
            server_connections = 400
            subnets = ["subnet-1", "subnet-2"]
            security_groups = ["sg-1"]
            "#,
        );
        let function = |memory, concurrency, reserved| LambdaFunction { memory: Some(memory), concurrency, reserved };
        let lambda = AwsLambda {
            stack: Some("shop-eu".to_owned()),
            code_bucket: Some("zips".to_owned()),
            architecture: Architecture::X86,
            package: Package::Image,
            repository: Some("team/shop".to_owned()),
            log_retention_days: Some(14),
            http: Entry::FunctionUrl,
            data: DataStacks::Module,
            resources_per_stack: Some(300),
            throttle: Throttle { rate: Some(100), burst: Some(200) },
            permissions_boundary: Some("shop-boundary".to_owned()),
            secrets: SecretKeeper::ParameterStore,
            rollout: Some(Rollout::Linear { minutes: 3 }),
            functions: [
                ("*".to_owned(), function(256, None, None)),
                ("web".to_owned(), function(1024, Some(10), Some(20))),
            ]
            .into(),
            database: LambdaDatabase {
                connections: Some(2),
                server_connections: Some(400),
                subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
                security_groups: vec!["sg-1".to_owned()],
            },
        };
        assert_eq!((&settings.aws_lambda, found), (&lambda, Vec::new()));
        assert_eq!(lambda.function("web"), function(1024, Some(10), Some(20)));
        assert_eq!(lambda.function("mail"), function(256, None, None));
        let (_, found) = settings_of("[target.aws-lambda]\nrollout = \"canary-20-5m\"\n");
        assert_eq!(found, ["UD0303 `target.aws-lambda.rollout` can't be this"]);
        let (_, found) = settings_of("[target.aws-lambda]\npackage = \"jar\"\n");
        assert_eq!(found, ["UD0303 `target.aws-lambda.package` can't be this"]);
        let (_, found) = settings_of("[target.aws-lambda]\nhttp = \"alb\"\n");
        assert_eq!(found, ["UD0303 `target.aws-lambda.http` can't be this"]);
        let (_, found) = settings_of("[target.aws-lambda]\nfunctions = { memroy = 256 }\n");
        assert_eq!(found, ["UD0302 `[target.aws-lambda.functions]` has no key `memroy`"]);
    }
}
