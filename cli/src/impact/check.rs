//! Whether two indices hold the same documents.
//!
//! # Design
//! The one is read page by page, in the order in which it lies there, and the other is asked for the same documents by their ids: a
//! page of each is held, however many documents there are. What the other has beside those is told by its count.
//!
//! # Invariants
//! 1. A document of either index is counted as equal, different, missing or extra, once.

use super::{server::Server, value::are_equal_documents};
use crate::failure::{Failure, Result};
use millpond::elastic::Method;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

/// Documents of a page. Documents of a megabyte still fit in an answer.
const PAGE: u64 = 200;
/// How long a server keeps a place between two pages.
const KEEP: &str = "2m";
/// Documents that are named of those that are wrong.
const EXAMPLES_MAX: usize = 10;

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) equal: u64,
    pub(super) different: u64,
    /// Only the plain client's index has them.
    pub(super) missing: u64,
    /// Only the folded one has them.
    pub(super) extra: u64,
    /// Some that are wrong, and how.
    pub(super) examples: Vec<String>,
}

impl Compared {
    /// Documents that are wrong.
    pub(super) fn wrong(&self) -> u64 {
        self.different + self.missing + self.extra
    }

    /// With what another pair of indices came to.
    pub(super) fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.different += other.different;
        self.missing += other.missing;
        self.extra += other.extra;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
    }

    fn example(&mut self, index: &str, hit: &Hit<'_>, what: &str) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{index}/{}: {what}", hit.id.escape_debug()));
        }
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "_scroll_id")]
    scroll: Option<String>,
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    docs: Vec<Hit<'a>>,
}

/// A document, of a page or one that was asked for.
#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_routing")]
    routing: Option<String>,
    /// Nothing where there is no such document.
    #[serde(borrow, rename = "_source")]
    source: Option<&'a RawValue>,
}

/// Compares what the `folded` index holds with what the `plain` one does.
pub(super) fn compare(server: &Server, plain: &str, folded: &str, fence: &str) -> Result<Compared> {
    let mut compared = Compared::default();
    let first = json!({ "size": PAGE, "sort": ["_doc"] });
    let mut answer = server.bytes(Method::Post, &format!("/{folded}/_search?scroll={KEEP}"), &first)?;
    let mut scroll = None;
    loop {
        let page: Page<'_> = read("a page of documents", &answer)?;
        scroll = page.scroll.or(scroll);
        if page.hits.hits.is_empty() {
            break;
        }
        compare_page(server, plain, &page.hits.hits, fence, &mut compared)?;
        let next = json!({ "scroll": KEEP, "scroll_id": scroll });
        answer = server.bytes(Method::Post, "/_search/scroll", &next)?;
    }
    if let Some(scroll) = scroll {
        server.bytes(Method::Delete, &format!("/_search/scroll/{scroll}"), &serde_json::Value::Null)?;
    }
    let there = server.count(plain)?;
    compared.missing = there.saturating_sub(compared.equal + compared.different);
    if compared.missing > 0 && compared.examples.len() < EXAMPLES_MAX {
        compared.examples.push(format!("{folded}: {} documents of {plain} are missing", compared.missing));
    }
    Ok(compared)
}

fn compare_page(
    server: &Server,
    plain: &str,
    hits: &[Hit<'_>],
    fence: &str,
    compared: &mut Compared,
) -> Result {
    let asked: Vec<_> = hits
        .iter()
        .map(|hit| match &hit.routing {
            Some(routing) => json!({ "_id": hit.id, "routing": routing }),
            None => json!({ "_id": hit.id }),
        })
        .collect();
    let answer = server.bytes(Method::Post, &format!("/{plain}/_mget"), &json!({ "docs": asked }))?;
    let found: Found<'_> = read("the documents that were asked for", &answer)?;
    if found.docs.len() != hits.len() {
        let text = format!("POST /{plain}/_mget: {} documents for {}", found.docs.len(), hits.len());
        return Err(Failure::Failed(text));
    }
    for (hit, other) in hits.iter().zip(&found.docs) {
        match (hit.source, other.source) {
            (Some(folded), Some(plain)) if are_equal_documents(folded, plain, fence) => compared.equal += 1,
            (_, Some(other)) => {
                compared.different += 1;
                let is = hit.source.map_or("", RawValue::get);
                compared.example(plain, hit, &format!("it is {}, and folded {}", other.get(), is));
            }
            (_, None) => {
                compared.extra += 1;
                compared.example(plain, hit, "it is not there, and is where it was folded");
            }
        }
    }
    Ok(())
}

fn read<'a, T: Deserialize<'a>>(what: &str, answer: &'a [u8]) -> Result<T> {
    serde_json::from_slice(answer)
        .map_err(|error| Failure::Failed(format!("{what}: the answer does not read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    const TEST: &str = "comparing two indices";

    /// A server, by the variable that holds its address.
    fn server(name: &str) -> Option<Server> {
        let variable = format!("MILLPOND_{name}");
        let Ok(url) = std::env::var(&variable) else {
            let is_required = std::env::var("MILLPOND_SERVERS").as_deref() == Ok("required");
            assert!(!is_required, "{TEST} needs {variable}, the address of a server");
            println!("skipped: {TEST} needs {variable}, the address of a server: dev/services up");
            return None;
        };
        let Command::Impact(args) = Args::parse_from(["millpond", "impact", "--sink", &url]).command else {
            panic!("impact is no impact")
        };
        Some(Server::open(&args).unwrap())
    }

    fn fill(server: &Server, index: &str, documents: &[(&str, &str)]) {
        for (path, document) in documents {
            let document: &RawValue = serde_json::from_str(document).unwrap();
            let (id, query) = path.split_once('?').unwrap_or((path, ""));
            // As it is written: what the server makes of its numbers is meant.
            let text = format!(
                "{{\"index\":{{\"_id\":\"{id}\"{query}}}}}\n{document}\n",
                query = if query.is_empty() { String::new() } else { format!(",\"routing\":\"{query}\"") }
            );
            server.raw(&format!("/{index}/_bulk?refresh=true"), text.as_bytes());
        }
    }

    fn differences_are_found(server: &Server) {
        let [plain, folded] =
            ["plain", "folded"].map(|side| format!("millpond-check-{side}-{}", std::process::id()));
        for index in [&plain, &folded] {
            server.create(index).unwrap();
            let failure = server.create(index).unwrap_err().to_string();
            assert!(failure.contains("resource_already_exists_exception"), "{failure}");
        }
        let same = |server: &Server| compare(server, &plain, &folded, "_millpond").unwrap();
        assert_eq!(same(server), Compared::default());

        // More than a page of them.
        let ids: Vec<String> = (0..PAGE + 50).map(|id| format!("id-{id}")).collect();
        let all: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), r#"{"n":1}"#)).collect();
        for index in [&plain, &folded] {
            fill(server, index, &all);
        }
        fill(server, &plain, &[("a?r", r#"{"n":1.10,"m":{"x":["é",null],"y":null}}"#)]);
        fill(
            server,
            &folded,
            &[("a?r", r#"{"_millpond":"e:1","m":{"y":null,"x":["\u00e9",null]},"n":1.1}"#)],
        );
        assert_eq!(same(server), Compared { equal: PAGE + 51, ..Compared::default() });

        fill(server, &plain, &[("different", r#"{"n":1}"#), ("missing", r#"{"n":1}"#)]);
        fill(server, &folded, &[("different", r#"{"n":2}"#), ("extra-1", "{}"), ("extra-2", "{}")]);
        let found = same(server);
        assert_eq!(
            (found.equal, found.different, found.missing, found.extra),
            (PAGE + 51, 1, 1, 2),
            "{found:?}"
        );
        assert_eq!(found.wrong(), 4);
        let examples = found.examples.join("\n");
        assert!(examples.contains(r#"/different: it is {"n":1}, and folded {"n":2}"#), "{examples}");
        for index in [&plain, &folded] {
            server.delete(index).unwrap();
        }
    }

    #[test]
    fn documents_that_differ_are_missing_or_are_too_many_are_found_on_opensearch() {
        let Some(server) = server("OPENSEARCH") else { return };
        differences_are_found(&server);
    }

    #[test]
    fn documents_that_differ_are_missing_or_are_too_many_are_found_on_elasticsearch() {
        let Some(server) = server("ELASTICSEARCH") else { return };
        differences_are_found(&server);
    }

    #[test]
    fn examples_are_bounded() {
        let one = Compared { different: 1, examples: vec!["one".to_owned()], ..Compared::default() };
        let mut all = Compared::default();
        for _ in 0..100 {
            all.add(one.clone());
        }
        assert_eq!((all.wrong(), all.examples.len()), (100, EXAMPLES_MAX));
    }
}
