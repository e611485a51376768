//! What the field operations make of one value: the model's side of increment, append, union, subtract, min and max.

use super::decimal::Decimal;
use super::tree::Tree;
use std::cmp::Ordering;

/// A field operation that takes an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Increment,
    Append,
    Union,
    Subtract,
    Min,
    Max,
    Remove,
}

/// What becomes of one value.
pub enum Change {
    Keep,
    Misfit,
    To(Tree),
}

impl Field {
    /// What the operation makes of one value; null counts as absent except that it stays where nothing is added.
    pub fn result(self, value: Option<&Tree>, operand: &Tree) -> Change {
        let start = matches!(value, None | Some(Tree::Null));
        match self {
            Self::Increment => increment(value, operand),
            Self::Min | Self::Max if start => Change::To(operand.clone()),
            Self::Min => bound(value, operand, Ordering::Less),
            Self::Max => bound(value, operand, Ordering::Greater),
            Self::Append | Self::Union | Self::Subtract => self.list_result(value, operand),
            Self::Remove => Change::Keep,
        }
    }

    fn list_result(self, value: Option<&Tree>, operand: &Tree) -> Change {
        let before = match value {
            None | Some(Tree::Null) => Vec::new(),
            Some(Tree::Array(items)) => items.clone(),
            Some(one) => vec![one.clone()],
        };
        let operands = match operand {
            Tree::Array(items) => items.clone(),
            one => vec![one.clone()],
        };
        let holds = |list: &[Tree], item: &Tree| list.iter().any(|other| other.equals(item));
        let mut after = before.clone();
        match self {
            Self::Append => after.extend(operands),
            Self::Subtract => after.retain(|item| !holds(&operands, item)),
            _ => {
                for item in operands {
                    if !holds(&after, &item) {
                        after.push(item);
                    }
                }
            }
        }
        let same_length = after.len() == before.len();
        match value {
            None if self == Self::Subtract => Change::Keep,
            Some(_) if same_length => Change::Keep,
            _ => Change::To(Tree::Array(after)),
        }
    }
}

fn increment(value: Option<&Tree>, operand: &Tree) -> Change {
    let Tree::Number { text: operand, .. } = operand else { panic!("{operand:?} is no increment") };
    let operand = Decimal::parse(operand);
    let base = match value {
        None | Some(Tree::Null) => Decimal::parse("0"),
        Some(Tree::Number { text, .. }) => Decimal::parse(text),
        Some(_) => return Change::Misfit,
    };
    if !base.takes_increments() {
        return Change::Misfit;
    }
    Change::To(Tree::Number { text: base.sum(&operand), computed: true })
}

/// The operand where it lies strictly on the wanted side of the value; a tie keeps what is there.
fn bound(value: Option<&Tree>, operand: &Tree, wanted: Ordering) -> Change {
    let order = match (operand, value) {
        (Tree::Number { text, .. }, Some(Tree::Number { text: there, .. })) => {
            Decimal::parse(text).compare(&Decimal::parse(there))
        }
        (Tree::Text { decoded, .. }, Some(Tree::Text { decoded: there, .. })) => decoded.cmp(there),
        _ => return Change::Misfit,
    };
    if order == wanted { Change::To(operand.clone()) } else { Change::Keep }
}
