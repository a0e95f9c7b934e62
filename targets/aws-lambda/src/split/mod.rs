//! An application that is more than one stack can hold becomes several: one with all that keeps something, and parts with the
//! functions.
//!
//! What keeps data, and what leads messages and requests to functions, never leaves the main stack: it would be made anew,
//! empty. Functions keep nothing, so they can be anywhere. A part finds what is in the main stack by parameters of Systems
//! Manager's, which that writes; the main stack names functions, which it has no need to find, by names that are chosen for
//! them. So stacks never wait for each other in a circle, and no export holds a resource fast.

mod group;
mod link;
#[cfg(test)]
mod tests;

use crate::capabilities::MOST_RESOURCES;
use crate::default_stack;
use crate::intrinsics::Text;
use crate::lower::Source;
use crate::names::{self, Ending};
use crate::resources::ssm::Stored;
use crate::template::{self, Broken, Made, Resource, Template, hash8};
use group::{Most, Weighed, group, same};
use link::{Stand, rename};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use updraft_model::Handler;
use updraft_model::settings::{DataStacks, Package};
use updraft_wire::aws::{ALIAS, ascii};

/// Resources of a stack, unless the settings say otherwise. CloudFormation takes 500: when functions leave a stack that has become
/// too large, what tells parts of the rest comes before they go.
pub(crate) const RESOURCES: u32 = 400;
/// Parameters that tell a part of what is in the main stack: of the 200 that a template has, some are for the code.
const NAMES: usize = 190;
/// A template's text, in bytes: CloudFormation reads a megabyte.
const BYTES: usize = 900_000;
/// That of a part's resources before it is told of others, which takes more words than to name them.
const BYTES_UNTOLD: usize = 600_000;
/// A part's parameter with the main stack's name.
pub(crate) const APPLICATION: &str = "Application";
/// The longest name of a stack with parts: with it begin the names of functions, of 64 characters.
pub(crate) const LONGEST_STACK: usize = 32;
/// What a function's name shows of its unit.
const SHOWN: usize = 64 - LONGEST_STACK - "--01234567".len();

/// An application's templates.
#[derive(Debug)]
pub(crate) struct Stacks {
    /// All of it, if one stack holds it; else what stays together.
    pub(crate) main: Template,
    /// Those with functions, and those that keep what a module declares (`data = "module"`), by what goes behind the stack's
    /// name.
    pub(crate) parts: BTreeMap<String, Template>,
}

impl Stacks {
    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Template> {
        self.parts.values().chain([&self.main])
    }
}

/// Splits what one stack does not hold.
pub(crate) fn split(mut template: Template, source: &Source<'_>) -> Result<Stacks, Broken> {
    let most = source.settings.aws_lambda.resources_per_stack.unwrap_or(RESOURCES) as usize;
    hold(&mut template);
    let fits = template.text()?.len() <= BYTES && source.settings.aws_lambda.data == DataStacks::Main;
    if fits && (template.resources() <= most || !is_relieved(&template)) {
        return Ok(Stacks { main: template, parts: BTreeMap::new() });
    }
    // One is the part's own.
    let most = Most { resources: most.saturating_sub(1), names: NAMES, bytes: BYTES_UNTOLD };
    let mut groups = group(weigh(&template, source)?, most);
    if source.settings.aws_lambda.package == Package::Image {
        // A function of an image is no function of a zip's, and has its name until requests go to the other.
        groups = groups.into_iter().map(|(name, units)| (format!("{name}--image"), units)).collect();
    }
    let mut parts: BTreeMap<&str, &str> = BTreeMap::new();
    for (part, units) in &groups {
        parts.extend(units.iter().map(|unit| (*unit, part.as_str())));
    }
    let mut places = places(&template, &parts);
    let mut keeping = BTreeSet::new();
    if source.settings.aws_lambda.data == DataStacks::Module {
        for (name, resource) in &template.resources {
            if let Some(module) = &resource.module {
                let part = keeping_part(module);
                places.insert(name.clone(), part.clone());
                keeping.insert(part);
            }
        }
    }
    let cut = Cut {
        app: &source.app.name,
        stack: default_stack(source.app, source.settings),
        places,
        keeping,
        functions: functions(&template, &parts),
        kinds: template.resources.iter().map(|(name, resource)| (name.clone(), resource.kind)).collect(),
        parameters: template.parameters.clone(),
    };
    cut.cut(template, groups.into_keys())
}

/// Whether the main stack is smaller without functions, though it then has to tell of what they name; or has to be.
fn is_relieved(template: &Template) -> bool {
    let (parts, rest): (Vec<&Resource>, Vec<&Resource>) =
        template.resources.values().partition(|resource| resource.unit.is_some());
    let named = rest.iter().filter(|resource| !told(resource.kind).is_empty()).count();
    named < parts.len() || template.resources() > MOST_RESOURCES
}

/// A function whose address others know stays: elsewhere it would have another.
fn hold(template: &mut Template) {
    let urls = template.resources.values().filter(|resource| resource.kind == "AWS::Lambda::Url");
    let known: BTreeSet<String> = urls.filter_map(|url| url.unit.clone()).collect();
    for resource in template.resources.values_mut() {
        resource.unit = resource.unit.take().filter(|unit| !known.contains(unit));
    }
}

/// Each unit that may leave, and what it takes of a stack.
fn weigh<'a>(template: &Template, source: &Source<'a>) -> Result<Vec<Weighed<'a>>, Broken> {
    let mut units = Vec::new();
    for function in &source.functions {
        let path = common(&function.runs);
        let mut weighed = Weighed { unit: function.unit, path, resources: 0, names: BTreeSet::new(), bytes: 0 };
        let own = template.resources.iter().filter(|(_, resource)| resource.unit.as_deref() == Some(function.unit));
        for (name, resource) in own {
            weighed.resources += 1;
            weighed.bytes += ascii(&template::pretty(&json!({ "Resources": { name: resource } }))?).len();
            for value in [Some(&resource.properties), resource.update_policy.as_ref()].into_iter().flatten() {
                let mut note = |name: &str, _: Option<&str>| {
                    if template.resources.get(name).is_some_and(|found| found.unit.is_none()) {
                        weighed.names.insert(name.to_owned());
                    }
                    Ok(Stand::Itself)
                };
                rename(&mut value.clone(), &mut note)?;
            }
        }
        if weighed.resources > 0 {
            units.push(weighed);
        }
    }
    Ok(units)
}

/// Crate and modules that all of them are in.
fn common<'a>(handlers: &[&'a Handler]) -> Vec<&'a str> {
    let path = |handler: &'a Handler| -> Vec<&'a str> {
        let modules = handler.module.split("::").filter(|module| !module.is_empty());
        [handler.krate.as_str()].into_iter().chain(modules).collect()
    };
    let mut paths = handlers.iter().copied().map(path);
    let first = paths.next().unwrap_or_default();
    paths.fold(first, |common, path| common[..same(&common, &path)].to_vec())
}

/// The part that each resource goes to, by its name; those that stay are not in it.
fn places(template: &Template, parts: &BTreeMap<&str, &str>) -> BTreeMap<String, String> {
    let place = |(name, resource): (&String, &Resource)| {
        let part = parts.get(resource.unit.as_deref()?)?;
        Some((name.clone(), (*part).to_owned()))
    };
    template.resources.iter().filter_map(place).collect()
}

/// What goes behind the main stack's name of the one that keeps what a module declares: nothing that a module could be called.
fn keeping_part(module: &str) -> String {
    let path: Vec<&str> = module.split("::").collect();
    format!("{}--data", group::name(&path))
}

/// How each function is called behind the main stack's name, by its alias's name in the template.
fn functions(template: &Template, parts: &BTreeMap<&str, &str>) -> BTreeMap<String, String> {
    let aliases = template.resources.iter().filter(|(_, resource)| resource.kind == "AWS::Lambda::Alias");
    let named = aliases.filter_map(|(alias, resource)| {
        let unit = resource.unit.as_deref()?;
        Some((alias.clone(), called(parts.get(unit)?, unit)))
    });
    named.collect()
}

/// A function's name behind the main stack's. In another part it is another function, which may be there at the same time.
fn called(part: &str, unit: &str) -> String {
    let plain = unit.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let shown: String = plain.take(SHOWN).collect();
    let hash = hash8(&json!([part, unit]));
    match shown.trim_matches('-') {
        "" => hash,
        shown => format!("{shown}-{hash}"),
    }
}

/// What of a resource parts may need: its `Ref` (`None`) and attributes, in the order in which its parameter lists them.
fn told(kind: &str) -> &'static [Option<&'static str>] {
    match kind {
        "AWS::SQS::Queue" | "AWS::DynamoDB::Table" | "AWS::S3::Bucket" => &[None, Some("Arn")],
        "AWS::SecretsManager::Secret" => &[Some("Id")],
        "AWS::SNS::Topic" | "AWS::ApiGatewayV2::Api" | "AWS::CodeDeploy::Application" | "AWS::Lambda::Alias" => &[None],
        _ => &[],
    }
}

/// A template that is being cut.
struct Cut<'a> {
    app: &'a str,
    /// The main stack's name, unless it is given another.
    stack: String,
    /// The part that each resource goes to, by its name; those that stay are not in it.
    places: BTreeMap<String, String>,
    /// The parts that keep something: others name what is in them, and they name the main stack's alone.
    keeping: BTreeSet<String>,
    /// How each function is called behind the main stack's name, by its alias's name in the template.
    functions: BTreeMap<String, String>,
    /// Every resource's type.
    kinds: BTreeMap<String, &'static str>,
    parameters: BTreeMap<String, template::Parameter>,
}

impl Cut<'_> {
    fn place(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(String::as_str)
    }

    /// What stands for a name in a part, or in the main stack; notes what has to be told there.
    fn stand(
        &self,
        here: Option<&str>,
        of: (&str, Option<&str>),
        names: &mut BTreeSet<String>,
    ) -> Result<Stand, Broken> {
        let (name, attribute) = of;
        let across = || Broken::Across(attribute.map_or_else(|| name.to_owned(), |of| format!("{name}.{of}")));
        let Some(kind) = self.kinds.get(name) else {
            return match (name, here) {
                ("AWS::StackName", Some(_)) => Ok(Stand::Name(APPLICATION)),
                ("AWS::StackId", Some(_)) => Err(across()),
                _ => {
                    names.extend(self.parameters.contains_key(name).then(|| name.to_owned()));
                    Ok(Stand::Itself)
                }
            };
        };
        if self.place(name) == here {
            return Ok(Stand::Itself);
        }
        if let Some(function) = self.functions.get(name).filter(|_| attribute.is_none()) {
            let stack = here.map_or("AWS::StackName", |_| APPLICATION);
            let arn = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:";
            return Ok(Stand::Text(format!("{arn}${{{stack}}}-{function}:{ALIAS}")));
        }
        let keeps = |part: &str| self.keeping.contains(part);
        let is_before = self.place(name).is_none_or(|there| keeps(there) && here.is_some_and(|here| !keeps(here)));
        let at = told(kind).iter().position(|told| *told == attribute).filter(|_| is_before);
        let at = at.ok_or_else(across)?;
        names.insert(name.to_owned());
        let given = names::of(name, Ending::Given);
        let known = json!({ "Fn::Select": [at.to_string(), { "Ref": given }] });
        Ok(Stand::Value(format!("{name}{}", attribute.unwrap_or("Ref")), known))
    }

    fn cut(&self, whole: Template, groups: impl Iterator<Item = String>) -> Result<Stacks, Broken> {
        let app = self.app;
        let mut main = Template::new(whole.description);
        main.metadata = whole.metadata;
        let part = |part: String| {
            let template = Template::new(format!("{app}, by Updraft: the functions of {part}"));
            (part, template)
        };
        let mut parts: BTreeMap<String, Template> = groups.map(part).collect();
        for part in &self.keeping {
            let mut template = Template::new(format!("{app}, by Updraft: what {part} keeps"));
            template.metadata.updraft.keeps = true;
            parts.insert(part.clone(), template);
        }
        // What has to be told in each.
        let mut told: BTreeMap<Option<&str>, BTreeSet<String>> = BTreeMap::new();
        for (name, mut resource) in whole.resources {
            let here = self.place(&name);
            let names = told.entry(here).or_default();
            let mut decide = |name: &str, attribute: Option<&str>| self.stand(here, (name, attribute), names);
            rename(&mut resource.properties, &mut decide)?;
            if let Some(policy) = &mut resource.update_policy {
                rename(policy, &mut decide)?;
            }
            // What is in another stack is there by then.
            resource.depends_on.retain(|other| self.place(other) == here);
            here.and_then(|part| parts.get_mut(part)).unwrap_or(&mut main).resources.insert(name, resource);
        }
        for (name, mut output) in whole.outputs {
            let mut here = None;
            let mut find = |name: &str, _: Option<&str>| {
                here = here.or_else(|| self.place(name));
                Ok(Stand::Itself)
            };
            rename(&mut output.value, &mut find)?;
            let names = told.entry(here).or_default();
            rename(&mut output.value, &mut |name, attribute| self.stand(here, (name, attribute), names))?;
            here.and_then(|part| parts.get_mut(part)).unwrap_or(&mut main).outputs.insert(name, output);
        }
        for (alias, function) in &self.functions {
            let Some(template) = self.place(alias).and_then(|part| parts.get_mut(part)) else { continue };
            template.name_function(alias, &Text::reference(APPLICATION).then("-").then(function.as_str()));
        }
        let mut known = BTreeSet::new();
        for (part, template) in &mut parts {
            let names = told.remove(&Some(part.as_str())).unwrap_or_default();
            known.extend(self.introduce(part, template, names)?);
        }
        for name in &known {
            let there = self.place(name);
            self.tell(name, there.and_then(|part| parts.get_mut(part)).unwrap_or(&mut main))?;
        }
        self.release(&mut main, &parts)?;
        Ok(Stacks { main, parts })
    }

    /// Gives a part what it names; what of it is the main stack's.
    fn introduce(&self, part: &str, template: &mut Template, names: BTreeSet<String>) -> Result<Vec<String>, Broken> {
        let mut known = Vec::new();
        for name in names {
            if let Some(parameter) = self.parameters.get(&name) {
                template.parameters.insert(name, parameter.clone());
                continue;
            }
            let about = format!("What the stack of {} tells of {name}", self.app);
            let default = format!("/updraft/{}/{}", self.stack, self.told_as(&name));
            let given = names::of(&name, Ending::Given);
            template.parameters.insert(given, template::Parameter::stored_list(about, default));
            known.push(name);
        }
        let about = format!("The stack of {} that this is a part of", self.app);
        template.parameters.insert(APPLICATION.to_owned(), template::Parameter::text(about, Some(self.stack.clone())));
        let name = path(APPLICATION, &format!("parts/{part}"));
        let own = Stored::text(format!("A part of {}", self.app), name, Text::reference("AWS::StackName"));
        // It comes before anything else and goes after it: as long as there is something of a part, the part is found.
        let mark = names::alone(Ending::Part);
        let own_names: BTreeSet<String> = template.resources.keys().cloned().collect();
        for resource in template.resources.values_mut() {
            let mut refers = !resource.depends_on.is_empty();
            let mut note = |name: &str, _: Option<&str>| {
                refers |= own_names.contains(name);
                Ok(Stand::Itself)
            };
            rename(&mut resource.properties, &mut note)?;
            if !refers {
                resource.depends_on.push(mark.clone());
            }
        }
        template.add(mark, Made::new(own, []))?;
        Ok(known)
    }

    /// What a resource is told of as, behind the application's path: another, if it is another part's.
    fn told_as(&self, name: &str) -> String {
        self.place(name).map_or_else(|| format!("resources/{name}"), |part| format!("resources/{part}/{name}"))
    }

    /// Writes down what parts know of a resource.
    fn tell(&self, name: &str, template: &mut Template) -> Result<(), Broken> {
        let kind = self.kinds.get(name).copied().unwrap_or_default();
        let mut values: Vec<Text> = Vec::new();
        for attribute in told(kind) {
            values.extend((!values.is_empty()).then(|| ",".into()));
            values.push(attribute.map_or_else(|| Text::reference(name), |of| Text::attribute(name, of)));
        }
        let about = format!("What parts of {} know of {name}", self.app);
        let stack = self.place(name).map_or("AWS::StackName", |_| APPLICATION);
        let stored = Stored::list(about, path(stack, &self.told_as(name)), Text::of(values));
        let from = template.resources.get(name).map(Resource::from).unwrap_or_default();
        template.add(names::of(name, Ending::Told), Made::new(stored, from)).map(drop)
    }

    /// Lets the main stack be another whenever code, a part or anything of its own is: what is live is then what it says, and
    /// the step that makes it so always changes something.
    fn release(&self, main: &mut Template, parts: &BTreeMap<String, Template>) -> Result<(), Broken> {
        let mut hashes = BTreeMap::new();
        for (part, template) in parts {
            let hash = blake3::hash(template.text()?.as_bytes()).to_hex();
            hashes.insert(part.clone(), hash[..32].to_owned());
        }
        let mut value: Vec<Text> = Vec::new();
        for (name, parameter) in &self.parameters {
            main.parameters.insert(name.clone(), parameter.clone());
            value.extend([Text::reference(name), " ".into()]);
        }
        let own = json!({ "Resources": &main.resources, "Outputs": &main.outputs });
        value.push(hash8(&json!([hashes, own])).into());
        let name = path("AWS::StackName", "release");
        let stored = Stored::text(format!("What is live of {}: code and parts", self.app), name, Text::of(value));
        main.add(names::alone(Ending::Release), Made::new(stored, []))?;
        main.metadata.updraft.parts = hashes;
        Ok(())
    }
}

/// `/updraft/shop/parts/shop-orders`.
fn path(stack: &str, rest: &str) -> Text {
    Text::of(["/updraft/".into(), Text::reference(stack), format!("/{rest}").into()])
}
