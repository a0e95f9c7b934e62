//! A cluster would accept what the shop becomes, and refuse each of its damaged variants, for the right reason.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests, which read files")]

mod fixture;

use serde_json::{Value, json};
use updraft_knative::Knative;
use updraft_model::settings::{Find, Network, Prometheus, Schedules, Telemetry};
use updraft_model::{Plan, Sink, Target, Unit};
use updraft_validate::schema::Schemas;
use updraft_validate::{Finding, Manifest, external, patch};

/// The manifests of a plan, in the order in which they are applied.
fn manifests(plan: &Plan) -> Vec<Manifest> {
    let artifacts = Knative.compile(plan, &mut Sink::default()).unwrap();
    let text = |path: &str| String::from_utf8(artifacts.get(path).unwrap().bytes.clone()).unwrap();
    let kustomization = updraft_validate::parse("kustomization.yaml", &text("kustomization.yaml")).unwrap();
    let files = kustomization[0].value["resources"].as_array().unwrap().clone();
    files
        .iter()
        .flat_map(|file| updraft_validate::parse(file.as_str().unwrap(), &text(file.as_str().unwrap())).unwrap())
        .collect()
}

/// The shop with everything on: routes and events in one unit, jobs, a domain.
fn elaborate() -> Plan {
    let mut plan = fixture::shop();
    let handlers = plan.units.iter().flat_map(|unit| unit.handlers.clone()).collect();
    plan.units = vec![Unit { id: "app".into(), handlers }];
    plan.settings.knative.schedules = Schedules::CronJob;
    plan.settings.knative.domain = Some("shop.example.com".into());
    plan.settings.telemetry = Some(telemetry(Find::PodMonitor));
    plan
}

fn telemetry(find: Find) -> Telemetry {
    let pods = [("app".to_owned(), "otel-collector".to_owned())].into();
    Telemetry {
        endpoint: Some("http://otel-collector.observability:4318".into()),
        network: Some(Network::Pods { namespace: "observability".into(), pods, port: None }),
        ratio: Some(0.25),
        prometheus: Some(Prometheus { namespace: "monitoring".into(), find }),
        ..Telemetry::default()
    }
}

/// Units know the collector and may reach it, Prometheus finds their metrics and may read them.
#[test]
fn telemetry_reaches_the_collector_and_prometheus_the_units() {
    let mut plan = fixture::shop();
    plan.settings.telemetry = Some(telemetry(Find::Annotations));
    let manifests = manifests(&plan);
    let services: Vec<_> = manifests.iter().filter(|manifest| manifest.is("serving.knative.dev", "Service")).collect();
    assert!(services.len() > 2);
    for service in services {
        let template = &service.value["spec"]["template"];
        let variables = template["spec"]["containers"][0]["env"].as_array().unwrap();
        let variable = |name: &str| {
            let found = variables.iter().find(|variable| variable["name"] == name);
            found.and_then(|variable| variable["value"].as_str()).unwrap_or_default()
        };
        assert_eq!(variable("OTEL_EXPORTER_OTLP_ENDPOINT"), "http://otel-collector.observability:4318");
        assert_eq!(variable("OTEL_TRACES_SAMPLER_ARG"), "0.25");
        assert_eq!(variable("OTEL_METRICS_EXPORTER"), "otlp,prometheus");
        assert_eq!(template["metadata"]["annotations"]["prometheus.io/port"], "9464");
        let policy = manifests.iter().find(|manifest| {
            manifest.kind() == "NetworkPolicy"
                && manifest.value["spec"]["podSelector"]["matchLabels"]["serving.knative.dev/service"] == service.name()
        });
        let egress = policy.unwrap_or_else(|| panic!("{}", service.name())).value["spec"]["egress"].to_string();
        assert!(egress.contains("otel-collector") && egress.contains("4318"), "{}: {egress}", service.name());
    }
    let path = manifests.iter().find(|manifest| manifest.name().ends_with("knative-data-path")).unwrap();
    let ingress = path.value["spec"]["ingress"].to_string();
    assert!(ingress.contains("monitoring") && ingress.contains("9464"), "{ingress}");
    let findings = updraft_validate::all(&manifests, Schemas::load().unwrap().as_ref());
    assert!(findings.is_empty(), "{}", said(&findings));
    assert!(manifests.iter().all(|manifest| manifest.kind() != "PodMonitor"));
}

fn said(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn the_shop_is_accepted() {
    let schemas = Schemas::load().unwrap();
    for plan in [fixture::shop(), elaborate()] {
        let findings = updraft_validate::all(&manifests(&plan), schemas.as_ref());
        assert!(findings.is_empty(), "{}", said(&findings));
    }
}

/// The examples' own files, as they lie in the tree.
#[test]
fn the_examples_are_accepted() {
    let schemas = Schemas::load().unwrap();
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut count = 0;
    for example in std::fs::read_dir(examples).unwrap().flatten() {
        let folder = example.path().join("expected/knative");
        let Ok(text) = std::fs::read_to_string(folder.join("kustomization.yaml")) else { continue };
        let kustomization = updraft_validate::parse("kustomization.yaml", &text).unwrap();
        let mut manifests = Vec::new();
        for file in kustomization[0].value["resources"].as_array().unwrap() {
            let file = file.as_str().unwrap();
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            manifests.extend(updraft_validate::parse(file, &text).unwrap());
        }
        let findings = updraft_validate::all(&manifests, schemas.as_ref());
        assert!(findings.is_empty(), "{}: {}", folder.display(), said(&findings));
        count += 1;
    }
    assert!(count > 0, "no example has expected files");
}

#[test]
fn other_programs_accept_the_shop() {
    for plan in [fixture::shop(), elaborate()] {
        let manifests = manifests(&plan);
        let folder = tempfile::tempdir().unwrap();
        let findings = external::kubernetes_validate(&manifests, folder.path()).unwrap();
        assert!(findings.is_empty(), "{}", said(&findings));
        let folder = tempfile::tempdir().unwrap();
        let findings = external::checkov(&manifests, folder.path()).unwrap();
        assert!(findings.is_empty(), "{}", said(&findings));
    }
}

#[test]
fn kustomize_keeps_every_object_and_the_order() {
    let plan = fixture::shop();
    let artifacts = Knative.compile(&plan, &mut Sink::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (path, artifact) in artifacts.iter() {
        std::fs::write(folder.path().join(path), &artifact.bytes).unwrap();
    }
    let Some(text) = external::kustomize(folder.path()).unwrap() else { return };
    let built = updraft_validate::parse("kustomize", &text).unwrap();
    let values = |manifests: &[Manifest]| manifests.iter().map(|manifest| manifest.value.clone()).collect::<Vec<_>>();
    assert_eq!(values(&built), values(&manifests(&plan)));
}

#[test]
fn gold_is_accepted() {
    let place = Schemas::place().join("../gold/knative");
    let Ok(files) = std::fs::read_dir(&place) else {
        return external::skip(&format!("no manifests written by hand at {}", place.display()));
    };
    let schemas = Schemas::load().unwrap();
    let mut all = Vec::new();
    for file in files.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "yaml")) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        all.extend(updraft_validate::parse(&file.path().display().to_string(), &text).unwrap());
    }
    assert!(all.len() > 10);
    let findings = updraft_validate::objects(&all, schemas.as_ref());
    assert!(findings.is_empty(), "{}", said(&findings));
}

/// What is damaged, where, how, and the rule that must say so.
type Damage = (&'static str, &'static str, &'static str, Option<Value>, &'static str);

/// Needs no definitions of custom resources.
fn damages() -> Vec<Damage> {
    let (web, ship, ping) = ("Service/web", "Trigger/shop-orders-ship", "PingSource/shop-reports-nightly-report");
    vec![
        (
            "annotations misspelt",
            web,
            "/spec/template/metadata/anotations",
            Some(json!({"a": "b"})),
            "schema/unknown-field",
        ),
        ("a label's value with a space", web, "/metadata/labels/team", Some(json!("a b")), "metadata/label"),
        ("an annotation that is a number", web, "/metadata/annotations/owner", Some(json!(7)), "schema/type"),
        ("a name with a capital", "ServiceAccount/web", "/metadata/name", Some(json!("Web")), "metadata/name"),
        (
            "a pod's security context",
            web,
            "/spec/template/spec/securityContext",
            Some(json!({})),
            "serving/forbidden-field",
        ),
        (
            "a node selector",
            web,
            "/spec/template/spec/nodeSelector",
            Some(json!({"disk": "ssd"})),
            "serving/forbidden-field",
        ),
        (
            "a token",
            web,
            "/spec/template/spec/automountServiceAccountToken",
            Some(json!(true)),
            "serving/forbidden-field",
        ),
        (
            "a capability",
            web,
            "/spec/template/spec/containers/0/securityContext/capabilities/add",
            Some(json!(["SYS_ADMIN"])),
            "serving/forbidden-field",
        ),
        ("a hook", web, "/spec/template/spec/containers/0/lifecycle", Some(json!({})), "serving/forbidden-field"),
        (
            "a second port",
            web,
            "/spec/template/spec/containers/0/ports/-",
            Some(json!({"containerPort": 8081})),
            "serving/ports",
        ),
        (
            "a port's name",
            web,
            "/spec/template/spec/containers/0/ports/0/name",
            Some(json!("http")),
            "serving/port-name",
        ),
        (
            "the queue proxy's port",
            web,
            "/spec/template/spec/containers/0/ports/0/containerPort",
            Some(json!(8012)),
            "serving/port",
        ),
        (
            "PORT set",
            web,
            "/spec/template/spec/containers/0/env/-",
            Some(json!({"name": "PORT", "value": "80"})),
            "serving/env-reserved",
        ),
        (
            "a variable's name",
            web,
            "/spec/template/spec/containers/0/env/-",
            Some(json!({"name": "1 A", "value": ""})),
            "serving/env-name",
        ),
        (
            "a field as a variable",
            web,
            "/spec/template/spec/containers/0/env/0/valueFrom",
            Some(json!({"fieldRef": {"fieldPath": "metadata.name"}})),
            "serving/forbidden-field",
        ),
        (
            "a volume nobody mounts",
            web,
            "/spec/template/spec/volumes/-",
            Some(json!({"name": "x", "emptyDir": {}})),
            "serving/volume-unmounted",
        ),
        (
            "a mount of no volume",
            web,
            "/spec/template/spec/containers/0/volumeMounts/0/name",
            Some(json!("temp")),
            "serving/mount-unknown",
        ),
        (
            "a writable secret",
            web,
            "/spec/template/spec/containers/0/volumeMounts/1/readOnly",
            None,
            "serving/mount-writable",
        ),
        (
            "a claim",
            web,
            "/spec/template/spec/volumes/0",
            Some(json!({"name": "tmp", "persistentVolumeClaim": {"claimName": "x"}})),
            "serving/volume-source",
        ),
        ("eleven minutes", web, "/spec/template/spec/timeoutSeconds", Some(json!(660)), "serving/timeout"),
        (
            "a start after the end",
            web,
            "/spec/template/spec/responseStartTimeoutSeconds",
            Some(json!(301)),
            "serving/timeout",
        ),
        ("too many at once", web, "/spec/template/spec/containerConcurrency", Some(json!(1001)), "serving/concurrency"),
        (
            "two ways to probe",
            web,
            "/spec/template/spec/containers/0/readinessProbe/tcpSocket",
            Some(json!({})),
            "serving/probe",
        ),
        (
            "another service's revision",
            web,
            "/spec/template/metadata/name",
            Some(json!("orders-0a1b2c3d")),
            "serving/revision-name",
        ),
        ("traffic that does not add up", web, "/spec/traffic/0/percent", Some(json!(90)), "serving/traffic-sum"),
        ("latest and named", web, "/spec/traffic/0/revisionName", Some(json!("web-1")), "serving/traffic-target"),
        ("a tag with a capital", web, "/spec/traffic/0/tag", Some(json!("Canary")), "serving/traffic-tag"),
        (
            "visible to whom",
            web,
            "/metadata/labels/networking.knative.dev~1visibility",
            Some(json!("internal")),
            "serving/visibility",
        ),
        (
            "scaling on the Service",
            web,
            "/metadata/annotations/autoscaling.knative.dev~1min-scale",
            Some(json!("1")),
            "autoscaling/misplaced",
        ),
        (
            "fewer than none",
            web,
            "/spec/template/metadata/annotations/autoscaling.knative.dev~1min-scale",
            Some(json!("-1")),
            "autoscaling/value",
        ),
        (
            "a window of seconds",
            web,
            "/spec/template/metadata/annotations/autoscaling.knative.dev~1window",
            Some(json!("5s")),
            "autoscaling/value",
        ),
        (
            "the old spelling",
            web,
            "/spec/template/metadata/annotations/autoscaling.knative.dev~1minScale",
            Some(json!("1")),
            "autoscaling/unknown",
        ),
        (
            "no upper bound",
            web,
            "/spec/template/metadata/annotations/autoscaling.knative.dev~1max-scale",
            None,
            "autoscaling/unbounded",
        ),
        (
            "1 core",
            web,
            "/spec/template/spec/containers/0/resources/requests/cpu",
            Some(json!("1 core")),
            "core/quantity",
        ),
        (
            "a request above its limit",
            web,
            "/spec/template/spec/containers/0/resources/requests/memory",
            Some(json!("1Gi")),
            "core/request-above-limit",
        ),
        ("two dialects", ship, "/spec/filters/0/prefix", Some(json!({"type": "shop"})), "eventing/filter"),
        ("an attribute's name", ship, "/spec/filters/0/exact/ship-to", Some(json!("eu")), "eventing/attribute"),
        ("a Go duration", ship, "/spec/delivery/timeout", Some(json!("60s")), "eventing/duration"),
        ("a policy of backoff", ship, "/spec/delivery/backoffPolicy", Some(json!("fibonacci")), "eventing/delivery"),
        ("nobody subscribes", ship, "/spec/subscriber", Some(json!({})), "eventing/destination"),
        ("a broker without a class", "Broker/shop", "/metadata/annotations", Some(json!({})), "eventing/broker-class"),
        ("every five minutes", ping, "/spec/schedule", Some(json!("@every 5m")), "eventing/schedule"),
        ("minute 99", ping, "/spec/schedule", Some(json!("99 * * * *")), "eventing/schedule"),
        ("data that is no object", ping, "/spec/data", Some(json!("[]")), "eventing/data"),
        ("a field of a policy", "NetworkPolicy/web", "/spec/egres", Some(json!([])), "schema/unknown-field"),
        ("a port as a word", "NetworkPolicy/web", "/spec/egress/0/ports/0/port", Some(json!(99_999)), "core/port"),
        ("an edge to everyone", "NetworkPolicy/web", "/spec/egress/0/to", Some(json!([])), "core/policy-open"),
        (
            "a service account that is not there",
            web,
            "/spec/template/spec/serviceAccountName",
            Some(json!("www")),
            "references/missing",
        ),
        (
            "a binding that is not there",
            web,
            "/spec/template/spec/volumes/1/configMap/name",
            Some(json!("shop-binding-0")),
            "references/missing",
        ),
        ("a broker that is not there", ship, "/spec/broker", Some(json!("shops")), "references/missing"),
        (
            "a subscriber that is not there",
            ship,
            "/spec/subscriber/ref/name",
            Some(json!("order")),
            "references/missing",
        ),
        ("another namespace", ship, "/metadata/namespace", Some(json!("shops")), "references/missing"),
    ]
}

/// Only a definition tells.
fn damages_of_schema() -> Vec<Damage> {
    let (web, ship) = ("Service/web", "Trigger/shop-orders-ship");
    vec![
        ("traffic misspelt", web, "/spec/trafic", Some(json!([])), "schema/unknown-field"),
        (
            "a probe's field",
            web,
            "/spec/template/spec/containers/0/readinessProbe/periodSecond",
            Some(json!(1)),
            "schema/unknown-field",
        ),
        (
            "scratch space's field",
            web,
            "/spec/template/spec/volumes/0/emptyDir/sizelimit",
            Some(json!("1Mi")),
            "schema/unknown-field",
        ),
        ("a string for a number", web, "/spec/template/spec/timeoutSeconds", Some(json!("300")), "schema/type"),
        ("a subscriber misspelt", ship, "/spec/subscribr", Some(json!({})), "schema/unknown-field"),
        ("a delivery's field", ship, "/spec/delivery/retries", Some(json!(3)), "schema/unknown-field"),
        ("a broker's field", "Broker/shop", "/spec/configuration", Some(json!({})), "schema/unknown-field"),
        (
            "a source's field",
            "PingSource/shop-reports-nightly-report",
            "/spec/timeZone",
            Some(json!("UTC")),
            "schema/unknown-field",
        ),
        ("another version", ship, "/apiVersion", Some(json!("eventing.knative.dev/v3")), "schema/unknown-kind"),
    ]
}

fn refused(damages: Vec<Damage>, schemas: Option<&Schemas>) {
    let good = manifests(&fixture::shop());
    for (what, object, pointer, value, rule) in damages {
        let mut damaged = good.clone();
        assert!(patch::apply(&mut damaged, object, pointer, value), "{what}: nothing at {object} {pointer}");
        let findings = updraft_validate::all(&damaged, schemas);
        assert!(findings.iter().any(|finding| finding.rule == rule), "{what}: no {rule} in\n{}", said(&findings));
    }
}

#[test]
fn damaged_manifests_are_refused() {
    refused(damages(), None);
}

#[test]
fn damage_that_only_a_definition_tells_is_refused() {
    if let Some(schemas) = Schemas::load().unwrap() {
        refused(damages_of_schema(), Some(&schemas));
    }
}

#[test]
fn a_wrong_order_is_refused() {
    let mut manifests = manifests(&fixture::shop());
    manifests.reverse();
    let findings = updraft_validate::all(&manifests, None);
    assert!(findings.iter().any(|finding| finding.rule == "references/order"), "{}", said(&findings));
}

/// That the other programs look inside at all.
#[test]
fn other_programs_refuse_damage() {
    let mut damaged = manifests(&fixture::shop());
    assert!(patch::apply(&mut damaged, "NetworkPolicy/web", "/spec/egres", Some(json!([]))));
    let privileged = "/spec/template/spec/containers/0/securityContext/privileged";
    assert!(patch::apply(&mut damaged, "Service/web", privileged, Some(json!(true))));
    let folder = tempfile::tempdir().unwrap();
    let there = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    let findings = external::kubernetes_validate(&damaged, folder.path()).unwrap();
    assert_eq!(findings.is_empty(), !there("kubernetes-validate"), "{}", said(&findings));
    let folder = tempfile::tempdir().unwrap();
    let findings = external::checkov(&damaged, folder.path()).unwrap();
    let found = findings.iter().any(|finding| finding.message.contains("CKV_K8S_16"));
    assert_eq!(found, there("checkov"), "{}", said(&findings));
}
