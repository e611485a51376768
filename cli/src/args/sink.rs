//! Where folded operations go, and how a server is reached.

use crate::{
    failure::{Failure, Result as Tried},
    units,
};
use clap::{Args as ClapArgs, ValueEnum, builder::TypedValueParser, error::ErrorKind};
use millpond::elastic::{Auth, ElasticOptions, ElasticSink, Versioning};
use std::{
    env,
    ffi::OsStr,
    fmt, fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

/// The variables of the environment that hold credentials, and what makes them some.
const VARIABLES: [(&str, Credentials); 3] =
    [("MILLPOND_BASIC", Auth::Basic), ("MILLPOND_API_KEY", Auth::ApiKey), ("MILLPOND_BEARER", Auth::Bearer)];
/// How the line of a file of credentials begins, and what makes them some.
const SCHEMES: [(&str, Credentials); 3] =
    [("basic ", Auth::Basic), ("api-key ", Auth::ApiKey), ("bearer ", Auth::Bearer)];

const AUTH_HELP: &str = "A file with what a server is told of who we are, in one line: basic USER:PASSWORD, api-key KEY or \
    bearer TOKEN; without it the environment's MILLPOND_BASIC, MILLPOND_API_KEY or MILLPOND_BEARER, without these words";

type Credentials = fn(String) -> Auth;

/// Where folded operations go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkName {
    /// A segment directory.
    Segments(PathBuf),
    /// A file of bulk lines.
    Ndjson(PathBuf),
    /// Standard output, as bulk lines.
    Stdout,
    /// Nowhere.
    Null,
    /// A server, by the addresses of its nodes.
    Server(Vec<String>),
}

impl SinkName {
    /// What several names come to: addresses are those of one server's nodes, and nothing else can be named twice.
    pub fn one_of(names: &[Self]) -> Tried<Option<Self>> {
        let [first, rest @ ..] = names else { return Ok(None) };
        let mut one = first.clone();
        for name in rest {
            let (Self::Server(urls), Self::Server(more)) = (&mut one, name) else {
                let text =
                    format!("--sink {first} and --sink {name}: only the nodes of a server can be several");
                return Err(Failure::Usage(text));
            };
            urls.extend(more.iter().cloned());
        }
        Ok(Some(one))
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segments(path) => write!(f, "segments:{}", path.display()),
            Self::Ndjson(path) => write!(f, "ndjson:{}", path.display()),
            Self::Stdout => f.write_str("ndjson:-"),
            Self::Null => f.write_str("null"),
            Self::Server(urls) => f.write_str(&urls.join(" ")),
        }
    }
}

/// Reads the values of `--sink`. Parsers of clap that are functions have a value that is refused repeated in the message, and an
/// address may hold a password.
#[derive(Clone)]
pub(super) struct Parser(pub(super) fn(&str) -> Result<SinkName, String>);

impl TypedValueParser for Parser {
    type Value = SinkName;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<SinkName, clap::Error> {
        let name = value.to_str().ok_or("it is not UTF-8".to_owned()).and_then(self.0);
        name.map_err(|reason| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("--sink: {reason}\n")).with_cmd(command)
        })
    }
}

pub(super) fn parse(text: &str) -> Result<SinkName, String> {
    match text.split_once(':') {
        None if text == "null" => Ok(SinkName::Null),
        Some(("ndjson", "-")) => Ok(SinkName::Stdout),
        Some(("ndjson", path)) if !path.is_empty() => Ok(SinkName::Ndjson(path.into())),
        Some(("segments", path)) if !path.is_empty() => Ok(SinkName::Segments(path.into())),
        Some(("http" | "https", rest)) if rest.starts_with("//") => {
            // What is wrong with an address is said now, and without what may be a password.
            ElasticSink::new(&[text], &ElasticOptions::new()).map_err(|error| error.message().to_owned())?;
            Ok(SinkName::Server(vec![text.to_owned()]))
        }
        other => {
            // What follows may be an address with a password.
            let kind = other.map_or(text, |(kind, _)| kind);
            Err(format!(
                "{kind:?} is no kind of sink, or needs a name: segments:DIR, ndjson:FILE, ndjson:-, null or http://HOST:PORT"
            ))
        }
    }
}

/// Requests to a server on their way at once, at most, if no flag says so.
const REQUESTS: usize = 8;

/// How a server is reached.
#[derive(Clone, Debug, ClapArgs)]
pub struct Server {
    /// What a server is told of who we are.
    #[arg(long, value_name = "FILE", help = AUTH_HELP)]
    pub auth_file: Option<PathBuf>,

    /// A file of PEM certificates by which a server is trusted, instead of the public authorities
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// How many requests to a server may be on their way at once, at most: fewer are while more gain nothing. The operations of
    /// one document stay in order [default: 8; of impact 1, as the plain client has]
    #[arg(long, value_name = "N")]
    pub requests: Option<NonZeroUsize>,

    /// Always have --requests requests of --batch-bytes on their way, instead of as many and as large as the server takes best
    #[arg(long)]
    pub fixed: bool,

    /// Compress requests to a server by gzip
    #[arg(long)]
    pub gzip: bool,

    /// The longest time after which a server may still carry out a request that was given up: newer operations on its
    /// documents wait for so long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::duration)]
    pub late_request_bound: Duration,

    /// The field that a server's documents carry where repeating an operation would change them again
    #[arg(long, value_name = "NAME", default_value = "_millpond")]
    pub fence_field: String,

    /// Read each document from the server once and send it whole, under the condition that nobody changed it since; without it
    /// operations are sent as they are, and the server applies them
    #[arg(long)]
    pub resolve: bool,

    /// How a server tells documents apart, with --resolve: by its own versions, or by millpond's as external ones, for indices
    /// that only millpond writes
    #[arg(long, value_name = "KIND", default_value = "internal")]
    pub versioning: VersioningName,
}

/// Whose versions a server's documents have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VersioningName {
    /// The server's own
    Internal,
    /// Those that millpond gives them: no other writer
    External,
}

impl Server {
    /// How many requests may be on their way at once.
    pub fn requests(&self) -> usize {
        self.requests.map_or(REQUESTS, NonZeroUsize::get)
    }

    /// Refuses what does not go together.
    pub fn check(&self, sink: Option<&SinkName>) -> Tried<()> {
        let is_external = self.versioning == VersioningName::External;
        let wrong = match sink {
            _ if is_external && !self.resolve => {
                "--versioning external needs --resolve: a server takes versions of one's own for whole documents only, and without \
                 --resolve operations are sent as they are"
                    .to_owned()
            }
            Some(SinkName::Server(_)) => return Ok(()),
            _ if self.resolve => {
                let sink = sink.map_or_else(|| "segments".to_owned(), ToString::to_string);
                format!("--resolve is for a server, http://HOST:PORT, and the sink is {sink}")
            }
            _ => return Ok(()),
        };
        Err(Failure::Usage(wrong))
    }

    /// A sink on these nodes.
    pub fn open(&self, urls: &[String]) -> Tried<ElasticSink> {
        let versioning = match self.versioning {
            VersioningName::Internal => Versioning::Internal,
            VersioningName::External => Versioning::External,
        };
        let mut options = ElasticOptions::new()
            .compress(self.gzip)
            .fence_field(&self.fence_field)
            .resolve(self.resolve)
            .versioning(versioning);
        if let Some(auth) = self.auth()? {
            options = options.auth(auth);
        }
        if let Some(path) = &self.ca {
            let pem = fs::read(path)
                .map_err(|error| Failure::io(format!("reading --ca {}", path.display()), &error))?;
            options = options.ca(pem);
        }
        ElasticSink::new(urls, &options)
            .map_err(|error| Failure::Usage(error.message().replace("fence_field", "--fence-field")))
    }

    fn auth(&self) -> Tried<Option<Auth>> {
        if let Some(path) = &self.auth_file {
            return read(path).map(Some);
        }
        let mut found = None;
        for (name, credentials) in VARIABLES {
            let Ok(value) = env::var(name) else { continue };
            if let Some((other, _)) = found.replace((name, credentials(value))) {
                return Err(Failure::Usage(format!(
                    "{other} and {name} are both set: a server is told one of them"
                )));
            }
        }
        Ok(found.map(|(_, auth)| auth))
    }
}

/// The credentials in a file.
fn read(path: &Path) -> Tried<Auth> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::io(format!("reading --auth-file {}", path.display()), &error))?;
    let line = text.trim_end();
    let found = SCHEMES.iter().find_map(|(word, credentials)| Some((line.strip_prefix(word)?, credentials)));
    match found {
        Some((rest, credentials)) if !rest.contains('\n') => Ok(credentials(rest.to_owned())),
        // Nothing of the file is shown.
        _ => Err(Failure::Usage(format!(
            "--auth-file {} is not one line that begins with basic, api-key or bearer",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_reads_as_it_is_written() {
        for text in ["segments:some/dir", "ndjson:out:put.ndjson", "ndjson:-", "null", "https://a:9200/b"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for text in ["", "segments", "segments:", "ndjson:", "null:", "localhost:9200", "kafka:x", "http:x"] {
            assert!(parse(text).unwrap_err().contains("segments:DIR"), "{text}");
        }
        assert!(!parse("http://user:secret@a").unwrap_err().contains("secret"));
    }

    #[test]
    fn addresses_add_up_and_nothing_else_does() {
        let name = |text| parse(text).unwrap();
        let both = SinkName::one_of(&[name("http://a"), name("http://b")]).unwrap().unwrap();
        assert_eq!(both.to_string(), "http://a http://b");
        assert_eq!(SinkName::one_of(&[]).unwrap(), None);
        assert!(SinkName::one_of(&[name("null"), name("http://a")]).is_err());
        assert!(SinkName::one_of(&[name("null"), name("null")]).is_err());
    }

    #[test]
    fn credentials_are_read_from_one_line_and_shown_in_no_message() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth");
        fs::write(&path, "basic user:secret\n").unwrap();
        assert_eq!(read(&path).unwrap(), Auth::Basic("user:secret".to_owned()));
        fs::write(&path, "bearer a b\n").unwrap();
        assert_eq!(read(&path).unwrap(), Auth::Bearer("a b".to_owned()));
        for wrong in ["user:secret", "basic user:secret\nmore secret", ""] {
            fs::write(&path, wrong).unwrap();
            let failure = format!("{:?}", read(&path).unwrap_err());
            assert!(failure.contains("--auth-file") && !failure.contains("secret"), "{failure}");
        }
    }
}
