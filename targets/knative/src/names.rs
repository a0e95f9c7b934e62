//! Names and addresses within the cluster.

use updraft_kubernetes::names::object_name;
use updraft_model::{App, Settings};

/// The generated unit that keeps dead letters.
pub(crate) const DEAD_LETTER_UNIT: &str = "dead-letter";

/// What jobs that look after dead letters are made of.
pub(crate) const DEAD_LETTER_JOB: &str = "dead-letters";

/// Everything that is named after the app or by `[target.knative]`.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The app's, as a name of Kubernetes.
    pub(crate) app: String,
    /// Where everything lives.
    pub(crate) namespace: String,
    /// Put before every object's name.
    pub(crate) prefix: String,
    /// The broker's name.
    pub(crate) broker: String,
    /// The broker's class.
    pub(crate) class: String,
    /// The namespace of Serving's gateway.
    pub(crate) gateway: String,
}

impl Names {
    pub(crate) fn new(app: &App, settings: &Settings) -> Self {
        let name = object_name(&app.name);
        let knative = &settings.knative;
        let prefix = knative.name_prefix.clone().unwrap_or_default();
        Names {
            namespace: knative.namespace.clone().unwrap_or_else(|| name.clone()),
            broker: knative.broker.name.clone().unwrap_or_else(|| name.clone()),
            class: knative.broker.class.clone().unwrap_or_else(|| IN_MEMORY.to_owned()),
            gateway: knative.gateway.clone().unwrap_or_else(|| "kourier-system".to_owned()),
            prefix,
            app: name,
        }
    }

    /// The name of an object of ours.
    pub(crate) fn object(&self, id: &str) -> String {
        format!("{}{}", self.prefix, object_name(id))
    }

    /// Whether the broker's own pods run in the app's namespace.
    pub(crate) fn broker_is_ours_to_admit(&self) -> bool {
        matches!(self.class.as_str(), RABBITMQ | KAFKA_NAMESPACED)
    }

    /// Whether the namespace is the app's alone, so that its rules may hold for all that is in it.
    pub(crate) fn owns_namespace(&self) -> bool {
        self.prefix.is_empty()
    }

    /// Where applications publish.
    pub(crate) fn broker_url(&self) -> String {
        let Names { namespace, broker, .. } = self;
        match self.class.as_str() {
            RABBITMQ => format!("http://{broker}-broker-ingress.{namespace}.svc.cluster.local"),
            KAFKA_NAMESPACED => {
                format!("http://kafka-broker-ingress.{namespace}.svc.cluster.local/{namespace}/{broker}")
            }
            KAFKA => format!("http://kafka-broker-ingress.knative-eventing.svc.cluster.local/{namespace}/{broker}"),
            _ => format!("http://broker-ingress.knative-eventing.svc.cluster.local/{namespace}/{broker}"),
        }
    }

    /// Where a Service is reached from within the cluster.
    pub(crate) fn service_url(&self, service: &str) -> String {
        format!("http://{service}.{}.svc.cluster.local", self.namespace)
    }

    /// Where dead letters are posted.
    pub(crate) fn dead_letter_url(&self) -> String {
        format!("{}{}", self.service_url(&self.object(DEAD_LETTER_UNIT)), updraft_wire::ids::DEAD_LETTER_PATH)
    }
}

/// Eventing's own class, which keeps messages in memory unless its channel is another's.
pub(crate) const IN_MEMORY: &str = "MTChannelBasedBroker";
/// Kafka, one data plane for the cluster.
pub(crate) const KAFKA: &str = "Kafka";
/// Kafka, a data plane in the namespace.
pub(crate) const KAFKA_NAMESPACED: &str = "KafkaNamespaced";
/// RabbitMQ, whose ingress stands in the broker's namespace.
pub(crate) const RABBITMQ: &str = "RabbitMQBroker";
