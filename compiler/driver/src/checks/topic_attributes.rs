//! A subscriber that filters on an attribute which the topic does not have.

use super::{Context, Rule};
use updraft_model::{Diagnostic, Kind, Sink, Trigger};
use updraft_syntax::codes::Page;

pub(super) const RULE: Rule = Rule {
    page: Page {
        code: "UD0209",
        title: "a subscriber filters on an unknown attribute",
        text: "`when(region = \"eu\")` compares an attribute of the message, and the topic says which it has: `#[topic(message = M, attributes(region))]`. \
               With any other name the subscriber would never run.",
        wrong: "#[topic(message = u32, attributes(region), external = \"write\")]\nstruct Shipped;\n#[subscriber(Shipped, when(regoin = \"eu\"))]\nasync fn mail(shipped: u32) -> Result<()> { Ok(()) }",
        right: "#[topic(message = u32, attributes(region), external = \"write\")]\nstruct Shipped;\n#[subscriber(Shipped, when(region = \"eu\"))]\nasync fn mail(shipped: u32) -> Result<()> { Ok(()) }",
    },
    check,
    needs_all: false,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    for handler in &context.app.handlers {
        let Trigger::Subscriber { topic, when } = &handler.trigger else { continue };
        let Some(topic) = context.app.resource(Kind::Topic, topic) else { continue };
        let known: Vec<&str> =
            topic.options.get("attributes").map_or_else(Vec::new, |names| names.split(',').collect());
        for name in when.keys().filter(|name| !known.contains(&name.as_str())) {
            let place = context.lowered.triggers.get(&handler.id).unwrap_or(&handler.place);
            let help = match (updraft_syntax::names::closest(name, known.iter().copied()), &known[..]) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, []) => format!("declare it: `#[topic(…, attributes({name}))]`, a field of the message"),
                (None, known) => format!("its attributes are {}", known.join(", ")),
            };
            sink.push(
                Diagnostic::error(RULE.page.code, format!("the topic `{}` has no attribute `{name}`", topic.id))
                    .label(place, format!("filters on `{name}`"))
                    .label(&topic.place, "declared here")
                    .help(help),
            );
        }
    }
}
