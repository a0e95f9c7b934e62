//! The application as a graph: handlers and resources, joined by triggers and grants. Edges point the way that data or a
//! call goes at first: a sender to its queue, a queue to its consumer, a caller to its function.

pub mod views;

use crate::lower::Lowered;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::collections::BTreeMap;
use updraft_model::{Access, Kind, Place};

/// A node: a handler or a resource, by its place in the application's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// Of [`updraft_model::App::handlers`].
    Handler(usize),
    /// Of [`updraft_model::App::resources`].
    Resource(usize),
}

/// An edge, with the place in the source that says so.
#[derive(Clone, Debug)]
pub enum Edge {
    /// A resource's message runs a handler.
    Trigger(Place),
    /// A handler may reach a resource or call a handler.
    Grant(Access, Place),
}

impl Edge {
    /// Where the source says so.
    pub fn place(&self) -> &Place {
        match self {
            Edge::Trigger(place) | Edge::Grant(_, place) => place,
        }
    }
}

/// The graph.
#[derive(Debug)]
pub struct Graph {
    graph: DiGraph<Node, Edge>,
    nodes: BTreeMap<Node, NodeIndex>,
}

impl Graph {
    pub(crate) fn new(lowered: &Lowered) -> Self {
        let app = &lowered.app;
        let mut graph = DiGraph::new();
        let mut nodes = BTreeMap::new();
        let all = (0..app.handlers.len()).map(Node::Handler).chain((0..app.resources.len()).map(Node::Resource));
        for node in all {
            nodes.insert(node, graph.add_node(node));
        }
        // Of two of one id (an error), the first.
        let mut by_id: BTreeMap<(Kind, &str), Node> = BTreeMap::new();
        for (at, handler) in app.handlers.iter().enumerate() {
            for kind in [Kind::Function, Kind::Shared] {
                by_id.entry((kind, &handler.id)).or_insert(Node::Handler(at));
            }
        }
        for (at, resource) in app.resources.iter().enumerate() {
            by_id.entry((resource.kind, &resource.id)).or_insert(Node::Resource(at));
        }
        let named = |kind: Kind, id: &str| by_id.get(&(kind, id)).copied();
        for (at, handler) in app.handlers.iter().enumerate() {
            let own = nodes[&Node::Handler(at)];
            if let Some(source) = handler.trigger.source().and_then(|(kind, id)| named(kind, id)) {
                let place = lowered.triggers.get(&handler.id).unwrap_or(&handler.place);
                graph.add_edge(nodes[&source], own, Edge::Trigger(place.clone()));
            }
            for grant in &handler.grants {
                if let Some(target) = named(grant.kind, &grant.resource) {
                    let place = lowered.grants.get(&(handler.id.clone(), grant.clone())).unwrap_or(&handler.place);
                    graph.add_edge(own, nodes[&target], Edge::Grant(grant.access, place.clone()));
                }
            }
        }
        Graph { graph, nodes }
    }

    /// The handlers that a resource's messages run, or that a handler may call, with the edges.
    pub fn out(&self, node: Node) -> Vec<(Node, &Edge)> {
        self.nodes.get(&node).map_or_else(Vec::new, |index| {
            let mut out: Vec<_> =
                self.graph.edges(*index).map(|edge| (self.graph[edge.target()], edge.weight())).collect();
            out.sort_by_key(|(node, edge)| (*node, edge.place().clone()));
            out
        })
    }

    /// Who reaches a resource or calls a handler, and for a handler its source, with the edges.
    pub fn into(&self, node: Node) -> Vec<(Node, &Edge)> {
        self.nodes.get(&node).map_or_else(Vec::new, |index| {
            let edges = self.graph.edges_directed(*index, petgraph::Direction::Incoming);
            let mut into: Vec<_> = edges.map(|edge| (self.graph[edge.source()], edge.weight())).collect();
            into.sort_by_key(|(node, edge)| (*node, edge.place().clone()));
            into
        })
    }

    /// Groups of handlers that call each other in a circle, each sorted.
    pub fn call_cycles(&self) -> Vec<Vec<usize>> {
        self.cycles(|access| access == Access::Call)
    }

    /// Groups of shared values that are made of each other, each sorted.
    pub fn shared_cycles(&self) -> Vec<Vec<usize>> {
        self.cycles(|access| access == Access::Read)
    }

    /// Circles of handlers, by the access that one has to the next.
    fn cycles(&self, follows: impl Fn(Access) -> bool) -> Vec<Vec<usize>> {
        let calls = self.graph.filter_map(
            |_, node| matches!(node, Node::Handler(_)).then_some(*node),
            |_, edge| matches!(edge, Edge::Grant(access, _) if follows(*access)).then_some(()),
        );
        let mut cycles: Vec<Vec<usize>> = petgraph::algo::tarjan_scc(&calls)
            .into_iter()
            .filter(|group| group.len() > 1 || calls.contains_edge(group[0], group[0]))
            .map(|group| {
                let mut handlers: Vec<usize> = group
                    .into_iter()
                    .filter_map(|index| match calls[index] {
                        Node::Handler(at) => Some(at),
                        Node::Resource(_) => None,
                    })
                    .collect();
                handlers.sort_unstable();
                handlers
            })
            .collect();
        cycles.sort();
        cycles
    }
}
