//! Operations that own their text, for chains that outlive what they were made from.

use millpond::Action;

/// An operation with its own text.
#[derive(Clone, Debug)]
pub enum OwnedAction {
    Index(String),
    Create(String),
    Update(String),
    Delete,
}

impl OwnedAction {
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Index(text) => Action::Index(text.as_bytes()),
            Self::Create(text) => Action::Create(text.as_bytes()),
            Self::Update(text) => Action::Update(text.as_bytes()),
            Self::Delete => Action::Delete,
        }
    }
}
