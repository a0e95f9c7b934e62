//! What is written and said for a pipeline, and how long its role's policies get.

use super::*;
use serde_json::Value;

fn context(service: Service) -> Context<'static> {
    Context {
        name: "shop",
        tests: "--package shop".to_owned(),
        branch: "main",
        region: "eu-central-1",
        stack: "shop-prod",
        environment: "prod",
        arguments: "--package shop --env prod".to_owned(),
        install: Some("cargo install --locked --git https://example.com/updraft --rev v1.0.0 cargo-updraft".to_owned()),
        runner: service.runner(Architecture::Arm64),
        file: service.pipeline(),
        deployer: service.deployer(),
        from_bucket: false,
    }
}

/// Input and output together: what is known, what is written, what is said.
fn written(service: Service, context: &Context<'_>) -> String {
    format!("{context:#?}\n\n{}\n{}", render(service, context).unwrap(), next(service, context))
}

#[test]
fn a_pipeline_of_github() {
    insta::assert_snapshot!(written(Service::Github, &context(Service::Github)));
}

#[test]
fn a_pipeline_of_gitlab() {
    insta::assert_snapshot!(written(Service::Gitlab, &context(Service::Gitlab)));
}

/// What is optional leaves no trace, and what is written is YAML.
#[test]
fn pipelines_are_what_they_seem() {
    for service in [Service::Github, Service::Gitlab] {
        for install in [None, Some("cargo install x".to_owned())] {
            for architecture in [Architecture::Arm64, Architecture::X86] {
                let runner = service.runner(architecture);
                let context = Context { install: install.clone(), runner, ..context(service) };
                let text = render(service, &context).unwrap();
                let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
                // What is included must not name its stages nor take a name that a pipeline has itself.
                let included = value.as_mapping().unwrap().keys().filter_map(|key| key.as_str());
                let included: Vec<&str> =
                    included.filter(|key| service == Service::Gitlab && !key.contains("updraft")).collect();
                assert_eq!(included, Vec::<&str>::new());
                let deploy = value.get("updraft-deploy").or_else(|| value["jobs"].get("deploy"));
                let deploy = deploy.expect("a job that deploys");
                let said = serde_yaml::to_string(deploy).unwrap();
                assert!(said.contains("cargo updraft deploy --package shop --env prod --target aws-lambda"), "{said}");
                assert!(said.contains("--yes") && !text.to_lowercase().contains("secret"), "{text}");
            }
        }
    }
}

/// Who reads it knows when the role is too old.
#[test]
fn the_help_says_when_to_write_it_again() {
    use clap::CommandFactory;
    let mut all = crate::args::Cli::command();
    let help = all.find_subcommand_mut("ci").unwrap().render_long_help().to_string();
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in ["its stacks, buckets and secrets are named one by one", "another bucket, secret or stack"] {
        assert!(words.contains(said), "{help}");
    }
}

/// An application of so many functions, a bucket and three secrets for each ten, in modules.
fn application(functions: usize) -> String {
    let module = |at: usize| {
        let secrets: String = (0..3).map(|of| format!("#[secret] pub struct KeyNumber{of}OfModule{at};")).collect();
        let function = |of: usize| {
            format!(
                "#[function] pub async fn function{of}(files: Bucket<FilesOfModule{at}>, key: Secret<KeyNumber{}OfModule{at}>) -> \
                 Result<()> {{ todo!() }}",
                of % 3
            )
        };
        let functions: String = (0..10).map(function).collect();
        format!(
            "pub mod module{at} {{ use updraft::prelude::*; #[bucket] pub struct FilesOfModule{at}; {secrets} {functions} }}\n"
        )
    };
    let up = "#[http(get, \"/up\")] async fn up() -> Result<()> { todo!() }\n".to_owned();
    (0..functions / 10).map(module).chain([up]).collect()
}

/// IAM takes the role of an application however many functions it has.
#[test]
fn a_role_grows_with_its_application() {
    let policies = |functions: usize| {
        let artifacts = build::fixture::compiled(&application(functions), "").1;
        let templates = aws::templates(&artifacts);
        let read = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
        let parts = templates.parts.iter().map(|(name, text)| (name.clone(), read(text))).collect();
        let (bucket, repository, issuer, template) = (None, None, Issuer::GitHub, read(&templates.main));
        let deployer = Deployer {
            app: "shop",
            stack: "shop-production",
            bucket,
            repository,
            template: &template,
            parts: &parts,
            issuer,
        };
        let role = deployer.template().unwrap();
        let resources = role["Resources"].as_object().unwrap();
        let more = resources.iter().filter(|(name, _)| name.starts_with("More"));
        let own = &role["Resources"]["Deployer"]["Properties"]["Policies"][0]["PolicyDocument"];
        // What is in it, as IAM reads it: with the longest that stands for what it does not know yet.
        let read = |document: &Value| {
            let text = document.to_string().replace("${AWS::Partition}", "aws-us-gov");
            let text = text.replace("${AWS::Region}", "ap-southeast-1").replace("${AWS::AccountId}", "123456789012");
            text.len() - text.matches("{\"Fn::Sub\":").count() * "{\"Fn::Sub\":}".len()
        };
        let beside: Vec<usize> = more.map(|(_, policy)| read(&policy["Properties"]["PolicyDocument"])).collect();
        let fits = read(own) <= 10_240 && beside.iter().all(|size| *size <= 6_144) && beside.len() <= 10;
        assert!(fits, "{functions} {} {beside:?}", read(own));
        (parts.len(), beside.len())
    };
    assert_eq!(policies(20), (0, 0));
    let (parts, beside) = policies(100);
    assert!(parts > 1 && beside > 0, "{parts} {beside}");
    let (parts, beside) = policies(400);
    assert!(parts > 5 && beside > 2, "{parts} {beside}");
}

/// The command that is shown works for each of them.
#[test]
fn a_long_template_goes_through_a_bucket() {
    let context = Context { from_bucket: true, ..context(Service::Github) };
    assert!(next(Service::Github, &context).contains("CAPABILITY_NAMED_IAM --s3-bucket BUCKET --parameter-overrides"));
}

#[test]
fn what_would_be_more_than_a_word_is_refused() {
    assert!(plain("release/1.0").is_ok());
    for wrong in ["", "main; rm", "a b", "x]", "$(x)"] {
        assert!(plain(wrong).is_err(), "{wrong}");
    }
}
