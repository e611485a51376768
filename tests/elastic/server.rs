//! Which servers there are, and what is asked of them beside the sink's way.
//!
//! `MILLPOND_OPENSEARCH` and `MILLPOND_ELASTICSEARCH` are their addresses, `MILLPOND_SMALL` that of an OpenSearch server that takes little at
//! once, and `MILLPOND_TOXIPROXY` that of toxiproxy; where one is not set, tests on it are skipped by name, or fail where
//! `MILLPOND_SERVERS` is `required`.

use crate::support::model::{Tree, decode};
use millpond::elastic::{ElasticOptions, ElasticSink, Versioning};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    env,
    sync::atomic::{AtomicU64, Ordering},
};

static INDICES: AtomicU64 = AtomicU64::new(0);

/// A server that runs, and an index of its own on it.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) index: String,
}

/// Runs a test on each server that there is.
pub(crate) fn on_each(test: &str, run: impl Fn(&Server)) {
    for name in ["OPENSEARCH", "ELASTICSEARCH"] {
        on(name, test, &run);
    }
}

/// Each way to send to a server, by name.
pub(crate) fn ways() -> [(&'static str, ElasticOptions); 3] {
    let resolved = || ElasticOptions::new().resolve(true);
    [
        ("net", ElasticOptions::new()),
        ("resolved", resolved()),
        ("external", resolved().versioning(Versioning::External)),
    ]
}

/// Runs a test on each server that there is, in each of the ways to send to one, with an index of its own each time.
pub(crate) fn on_each_in_each_way(test: &str, run: impl Fn(&Server, &ElasticOptions)) {
    on_each(test, |server| {
        for (way, options) in ways() {
            println!("{test}: {way}");
            run(&server.another(), &options);
        }
    });
}

/// Runs a test on one server, if it is there.
pub(crate) fn on(name: &str, test: &str, run: impl FnOnce(&Server)) {
    let variable = format!("MILLPOND_{name}");
    let Ok(url) = env::var(&variable) else {
        let is_required = env::var("MILLPOND_SERVERS").as_deref() == Ok("required");
        assert!(!is_required, "{test} needs {variable}, the address of a server");
        println!("skipped: {test} needs {variable}, the address of a server: dev/services up");
        return;
    };
    println!("{test} on {name}");
    run(&Server::at(url));
}

impl Server {
    pub(crate) fn at(url: String) -> Self {
        let number = INDICES.fetch_add(1, Ordering::Relaxed);
        Self { url, index: format!("millpond-{}-{number}", std::process::id()) }
    }

    pub(crate) fn sink(&self) -> ElasticSink {
        self.sink_with(&ElasticOptions::new())
    }

    pub(crate) fn sink_with(&self, options: &ElasticOptions) -> ElasticSink {
        ElasticSink::new(&[&self.url], options).unwrap()
    }

    /// The same server, and another index on it.
    pub(crate) fn another(&self) -> Self {
        Self::at(self.url.clone())
    }

    /// Sends a request; gives the status, and the body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body.to_owned())
            .unwrap();
        let mut response = agent.run(request).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// Makes the index, with these mappings.
    pub(crate) fn create_index(&self, mappings: &str) {
        let body = format!(
            r#"{{"settings":{{"number_of_shards":2,"number_of_replicas":0}},"mappings":{mappings}}}"#
        );
        let (status, answer) = self.ask("PUT", &format!("/{}", self.index), &body);
        assert_eq!(status, 200, "{answer}");
    }

    /// The document as it is stored, with its fence.
    pub(crate) fn stored(&self, id: &str) -> Option<String> {
        self.stored_under(id, None)
    }

    pub(crate) fn stored_under(&self, id: &str, routing: Option<&str>) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Found<'a> {
            #[serde(borrow, rename = "_source")]
            source: Option<&'a RawValue>,
        }
        let routing = routing.map_or(String::new(), |routing| format!("?routing={routing}"));
        let (_, body) = self.ask("GET", &format!("/{}/_doc/{id}{routing}", self.index), "");
        let found: Found<'_> = serde_json::from_str(&body).unwrap();
        found.source.map(|source| source.get().to_owned())
    }
}

/// A document as the server reads it, in one spelling: whole numbers by value, others as doubles, keys in order, no fence.
pub(crate) fn as_read(tree: &Tree) -> String {
    match tree {
        Tree::Number { text, .. } if text.contains(['.', 'e', 'E']) => {
            format!("{:?}", text.parse::<f64>().unwrap())
        }
        Tree::Number { text, .. } if text == "-0" => "0".to_owned(),
        Tree::Number { text, .. } => text.clone(),
        Tree::Text { decoded, .. } => format!("{decoded:?}"),
        Tree::Array(items) => {
            let items: Vec<String> = items.iter().map(as_read).collect();
            format!("[{}]", items.join(","))
        }
        Tree::Object(members) => {
            let fence = decode(r#""_millpond""#);
            let members: BTreeMap<_, _> = members
                .iter()
                .filter(|(name, _)| name.decoded != fence)
                .map(|(name, value)| (&name.decoded, as_read(value)))
                .collect();
            format!("{members:?}")
        }
        Tree::Null => "null".to_owned(),
        Tree::Bool(value) => value.to_string(),
    }
}
