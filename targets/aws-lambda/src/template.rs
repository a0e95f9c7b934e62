//! A CloudFormation template: resources, parameters and outputs by name, each reference to what is there already.

use crate::intrinsics::Text;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use updraft_wire::aws::ascii;

/// A resource's properties, of one type of AWS's.
pub(crate) trait Properties: Serialize {
    /// `AWS::SQS::Queue`.
    const TYPE: &'static str;
}

/// The logical id of a resource of the template, whose properties are `P`.
#[derive(Debug)]
pub(crate) struct Id<P> {
    name: String,
    of: PhantomData<fn() -> P>,
}

impl<P> Clone for Id<P> {
    fn clone(&self) -> Self {
        Id { name: self.name.clone(), of: PhantomData }
    }
}

impl<P> Id<P> {
    /// `Ref`: what that is, depends on the type.
    pub(crate) fn reference(&self) -> Text {
        Text::reference(&self.name)
    }

    /// `Fn::GetAtt`. Types say which there are: resources' own modules alone call this.
    pub(crate) fn attribute(&self, attribute: &'static str) -> Text {
        Text::attribute(&self.name, attribute)
    }

    /// The host of an attribute that is a URL.
    pub(crate) fn host_of(&self, attribute: &'static str) -> Text {
        Text::host(&self.name, attribute)
    }

    /// For `DependsOn`.
    pub(crate) fn logical(&self) -> &str {
        &self.name
    }
}

/// A resource to be.
#[derive(Debug)]
pub(crate) struct Made<P> {
    properties: P,
    keeps: bool,
    from: Vec<String>,
    after: Vec<String>,
    update: Option<Value>,
    unit: Option<String>,
    module: Option<String>,
}

impl<P: Properties> Made<P> {
    /// `from` are the handlers and resources that it is there for, in words.
    pub(crate) fn new(properties: P, from: impl IntoIterator<Item = String>) -> Self {
        let from = from.into_iter().collect();
        Made { properties, keeps: false, from, after: Vec::new(), update: None, unit: None, module: None }
    }

    /// It belongs to the function of a unit: wherever that is, it is, too. It keeps nothing that is not logged.
    pub(crate) fn of_unit(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    /// It stays if it leaves the template, or is replaced: it holds what people want back.
    pub(crate) fn keeps(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// It keeps what a module declares, or takes what a module's handler is sent.
    pub(crate) fn of_module(mut self, module: String) -> Self {
        self.module = Some(module);
        self
    }

    /// How it gets to be another, where that is not done at once.
    pub(crate) fn updated_by(mut self, policy: Option<Value>) -> Self {
        self.update = policy;
        self
    }

    /// It needs something that its properties don't name.
    pub(crate) fn after<Q>(mut self, other: &Id<Q>) -> Self {
        self.after.push(other.name.clone());
        self
    }
}

/// A resource of a template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Resource {
    #[serde(rename = "Type")]
    pub(crate) kind: &'static str,
    pub(crate) properties: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_replace_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) update_policy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    /// The unit whose function it belongs to.
    #[serde(skip)]
    pub(crate) unit: Option<String>,
    /// The module that it keeps something of.
    #[serde(skip)]
    pub(crate) module: Option<String>,
}

impl Resource {
    /// What it is there for.
    pub(crate) fn from(&self) -> Vec<String> {
        self.metadata.as_ref().map(|metadata| metadata.updraft.from.clone()).unwrap_or_default()
    }
}

#[derive(Debug, Serialize)]
struct Metadata {
    updraft: Origins,
}

#[derive(Debug, Serialize)]
struct Origins {
    from: Vec<String>,
}

/// What a template is given.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Parameter {
    #[serde(rename = "Type")]
    kind: &'static str,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

impl Parameter {
    /// A text.
    pub(crate) fn text(description: impl Into<String>, default: Option<String>) -> Self {
        Parameter { kind: "String", description: description.into(), default }
    }

    /// The texts that a parameter of Systems Manager's holds, which this is the name of.
    pub(crate) fn stored_list(description: String, default: String) -> Self {
        Parameter { kind: "AWS::SSM::Parameter::Value<List<String>>", description, default: Some(default) }
    }
}

/// What a stack tells.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Output {
    description: String,
    pub(crate) value: Value,
}

/// What is needed and no resource of the stack.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outside {
    pub(crate) updraft: Needed,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Needed {
    /// Parameters that hold secrets, by what their names end with.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, Origins>,
    /// The stacks beside this one, by what goes behind its name: a hash of each one's template.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parts: BTreeMap<String, String>,
    /// Whether this is a part that keeps something.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keeps: bool,
}

impl Outside {
    fn is_nothing(&self) -> bool {
        self.updraft.parameters.is_empty() && self.updraft.parts.is_empty() && !self.updraft.keeps
    }
}

/// A template.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Template {
    #[serde(rename = "AWSTemplateFormatVersion")]
    version: &'static str,
    pub(crate) description: String,
    #[serde(skip_serializing_if = "Outside::is_nothing")]
    pub(crate) metadata: Outside,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) resources: BTreeMap<String, Resource>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) outputs: BTreeMap<String, Output>,
}

/// Why there is no template: bugs of ours.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Two resources of one logical id.
    Twice(String),
    /// Something that one stack can't tell another.
    Across(String),
    /// Functions that call each other: the check has refused them.
    Circle,
    /// Properties that are no JSON.
    Json(serde_json::Error),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Twice(name) => write!(f, "two resources are called {name}"),
            Broken::Across(name) => write!(f, "no stack can tell another of {name}"),
            Broken::Circle => f.write_str("functions call each other in a circle"),
            Broken::Json(error) => error.fmt(f),
        }
    }
}

impl From<serde_json::Error> for Broken {
    fn from(error: serde_json::Error) -> Self {
        Broken::Json(error)
    }
}

impl Template {
    pub(crate) fn new(description: String) -> Self {
        Template { version: "2010-09-09", description, ..Template::default() }
    }

    /// A parameter of the type String.
    pub(crate) fn parameter(&mut self, name: &'static str, description: &'static str) -> Text {
        self.parameters.insert(name.to_owned(), Parameter::text(description, None));
        Text::reference(name)
    }

    /// Adds a resource.
    pub(crate) fn add<P: Properties>(&mut self, name: String, made: Made<P>) -> Result<Id<P>, Broken> {
        let Made { properties, keeps, from, after, update, unit, module } = made;
        let resource = Resource {
            kind: P::TYPE,
            properties: serde_json::to_value(properties)?,
            depends_on: after,
            // What an operation made that is undone is no data yet: kept, it would be in the way of the next try.
            deletion_policy: keeps.then_some("RetainExceptOnCreate"),
            update_replace_policy: keeps.then_some("Retain"),
            update_policy: update,
            metadata: (!from.is_empty()).then_some(Metadata { updraft: Origins { from } }),
            unit,
            module,
        };
        if self.resources.insert(name.clone(), resource).is_some() {
            return Err(Broken::Twice(name));
        }
        Ok(Id { name, of: PhantomData })
    }

    /// Says that a parameter holds a secret, under a name that no resource has.
    pub(crate) fn secret_outside(&mut self, name: &str, from: String) -> Result<(), Broken> {
        let origins = Origins { from: vec![from] };
        match self.metadata.updraft.parameters.insert(name.to_owned(), origins) {
            None if !self.resources.contains_key(name) => Ok(()),
            _ => Err(Broken::Twice(name.to_owned())),
        }
    }

    /// What the stack tells.
    pub(crate) fn output(&mut self, name: String, description: impl Into<String>, value: Text) {
        self.outputs.insert(name, Output { description: description.into(), value: value.value() });
    }

    /// Gives the function of an alias a name.
    pub(crate) fn name_function(&mut self, alias: &str, name: &Text) {
        let of = |alias: &Resource| alias.properties["FunctionName"]["Ref"].as_str().map(str::to_owned);
        let function = self.resources.get(alias).and_then(of).and_then(|function| self.resources.get_mut(&function));
        if let Some(properties) = function.and_then(|function| function.properties.as_object_mut()) {
            properties.insert("FunctionName".to_owned(), name.value());
        }
    }

    /// How many resources there are.
    pub(crate) fn resources(&self) -> usize {
        self.resources.len()
    }

    /// Pretty JSON, every key in its place, and all of it ASCII.
    pub(crate) fn text(&self) -> Result<String, Broken> {
        Ok(ascii(&pretty(&serde_json::to_value(self)?)?))
    }
}

/// Pretty JSON with sorted keys, whatever order of keys serde_json was built with.
pub(crate) fn pretty(value: &Value) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&sorted(value))? + "\n")
}

/// Eight hex digits that are another's if anything in it is.
pub(crate) fn hash8(value: &Value) -> String {
    blake3::hash(sorted(value).to_string().as_bytes()).to_hex()[..8].to_owned()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Empty {}
    impl Properties for Empty {
        const TYPE: &'static str = "AWS::Test::Empty";
    }

    #[test]
    fn a_name_is_given_once() {
        let mut template = Template::new(String::new());
        let first = template.add("A".into(), Made::new(Empty {}, [])).unwrap();
        assert_eq!(serde_json::to_string(&first.reference()).unwrap(), r#"{"Ref":"A"}"#);
        assert!(matches!(template.add("A".into(), Made::new(Empty {}, [])), Err(Broken::Twice(_))));
    }

    /// CloudFormation gives it back as it was written.
    #[test]
    fn a_template_is_ascii() {
        let mut template = Template::new("Grüße — 😀".to_owned());
        template.add("A".into(), Made::new(Empty {}, ["queue größe".to_owned()])).unwrap();
        let text = template.text().unwrap();
        assert!(text.is_ascii(), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["Description"], "Grüße — 😀");
        assert_eq!(value, serde_json::to_value(&template).unwrap());
    }

    #[test]
    fn what_keeps_data_stays() {
        let mut template = Template::new(String::new());
        template.add("A".into(), Made::new(Empty {}, ["queue a".to_owned()]).keeps()).unwrap();
        let value: Value = serde_json::from_str(&template.text().unwrap()).unwrap();
        let resource = &value["Resources"]["A"];
        assert_eq!(
            (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
            (&"RetainExceptOnCreate".into(), &"Retain".into())
        );
        assert_eq!(resource["Metadata"]["updraft"]["from"][0], "queue a");
    }
}
