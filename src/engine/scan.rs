//! Walking an index in id order.

use super::Engine;
use crate::{Document, Error, ErrorKind, Result, Snapshot};
use std::{collections::VecDeque, fmt, str::FromStr, sync::Arc, time::Duration};

/// Documents read from the snapshot at a time.
const PAGE: usize = 256;

/// Where a scan stands, to go on from later: everything up to and including this place has been seen.
///
/// Writes itself as text and reads back. A scan that goes on from a token walks a newer snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScanToken(Box<str>);

/// Documents of one index in id order (as bytes), from one snapshot.
pub struct Scan {
    snapshot: Arc<dyn Snapshot>,
    index: Box<str>,
    page: VecDeque<(Box<str>, Document)>,
    read_to: Option<Box<str>>,
    given_to: Option<ScanToken>,
    finished: bool,
}

impl Engine {
    /// Walks an index in id order, after `after` if given. Flushes first, waiting at most `timeout`, then walks
    /// one snapshot: everything accepted before the call is in it, and nothing of it changes under the walk.
    pub fn scan(&self, index: &str, after: Option<&ScanToken>, timeout: Duration) -> Result<Scan> {
        let Some(base) = &self.shared.base else {
            return Err(Error::new(ErrorKind::NoBase, "the engine has no base to scan"));
        };
        if !self.shared.is_closed() {
            self.flush(timeout)?;
        }
        Ok(Scan {
            snapshot: base.snapshot()?,
            index: index.into(),
            page: VecDeque::new(),
            read_to: after.map(|token| token.0.clone()),
            given_to: after.cloned(),
            finished: false,
        })
    }
}

impl Scan {
    /// Where the scan stands: give it to [`Engine::scan`] to go on behind the last document returned. `None`
    /// before the first.
    pub fn token(&self) -> Option<&ScanToken> {
        self.given_to.as_ref()
    }

    fn read(&mut self) -> Result<()> {
        let page = self.snapshot.page(&self.index, self.read_to.as_deref(), PAGE)?;
        self.finished = page.len() < PAGE;
        for (id, stored) in page {
            self.read_to = Some(id.clone());
            if let Some(source) = stored.source {
                self.page.push_back((id, Document { source, routing: stored.routing }));
            }
        }
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = Result<(Box<str>, Document)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && !self.finished {
            if let Err(error) = self.read() {
                self.finished = true;
                return Some(Err(error));
            }
        }
        let (id, document) = self.page.pop_front()?;
        self.given_to = Some(ScanToken(id.clone()));
        Some(Ok((id, document)))
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("index", &self.index)
            .field("token", &self.given_to)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ScanToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ScanToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(text.into()))
    }
}
