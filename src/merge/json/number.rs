//! Numbers by exact value, however long and however large their exponents.
//!
//! # Design
//! A number is 0.d₁d₂… × 10^place, its digits without zeros at either end. Two compare by sign, place, then
//! digits; nothing is expanded, so `1e999999999` costs what its text costs.

use super::scan::{byte, part};
use num_bigint::BigInt;
use std::cmp::Ordering;
use std::hash::Hasher;

/// A number's text, taken apart.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Number<'a> {
    /// True where it starts with a minus.
    pub(in crate::merge) negative: bool,
    /// The digits before the point.
    pub(in crate::merge) whole: &'a [u8],
    /// The digits after the point.
    pub(in crate::merge) fraction: &'a [u8],
    /// The exponent with its sign, or nothing.
    pub(in crate::merge) exponent: &'a [u8],
    /// True where the text has neither point nor exponent.
    pub(in crate::merge) is_integer: bool,
}

impl<'a> Number<'a> {
    /// The parts of a number's text, which was checked.
    pub(in crate::merge) fn new(text: &'a [u8]) -> Self {
        let negative = byte(text, 0) == b'-';
        let text = part(text, usize::from(negative), text.len());
        let mark = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = match mark {
            Some(mark) => (part(text, 0, mark), part(text, mark + 1, text.len())),
            None => (text, part(text, 0, 0)),
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = match point {
            Some(point) => (part(mantissa, 0, point), part(mantissa, point + 1, mantissa.len())),
            None => (mantissa, part(text, 0, 0)),
        };
        Self { negative, whole, fraction, exponent, is_integer: mark.is_none() && point.is_none() }
    }

    /// The exponent as it is written, where it fits 64 bits.
    pub(in crate::merge) fn written_exponent(&self) -> Option<i64> {
        if self.exponent.is_empty() {
            return Some(0);
        }
        std::str::from_utf8(self.exponent).ok()?.parse().ok()
    }

    /// How many digits the mantissa has, without zeros before the first.
    pub(in crate::merge) fn digits(&self) -> usize {
        let zeros = self.mantissa().take_while(|digit| *digit == b'0').count();
        (self.whole.len() + self.fraction.len()).saturating_sub(zeros)
    }

    /// True for zero of either sign.
    pub(in crate::merge) fn is_zero(&self) -> bool {
        self.mantissa().all(|digit| digit == b'0')
    }

    fn mantissa(&self) -> impl DoubleEndedIterator<Item = u8> + Clone + 'a {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// The digits without zeros at either end.
    fn significant(&self) -> impl Iterator<Item = u8> + 'a {
        let trailing = self.mantissa().rev().take_while(|digit| *digit == b'0').count();
        let all = self.whole.len() + self.fraction.len();
        self.mantissa().take(all - trailing).skip_while(|digit| *digit == b'0')
    }

    /// Where the first digit that is not zero stands, before the exponent moves it.
    fn first_place(&self) -> i64 {
        let zeros = self.mantissa().take_while(|digit| *digit == b'0').count();
        i64::try_from(self.whole.len()).unwrap_or(i64::MAX) - i64::try_from(zeros).unwrap_or(i64::MAX)
    }

    fn compare_place(&self, other: &Self) -> Ordering {
        let place = |number: &Self| number.written_exponent()?.checked_add(number.first_place());
        if let (Some(one), Some(two)) = (place(self), place(other)) {
            return one.cmp(&two);
        }
        let place = |number: &Self| {
            let digits = std::str::from_utf8(number.exponent).unwrap_or("0");
            let exponent = digits.trim_start_matches('+').parse::<BigInt>().unwrap_or_default();
            exponent + number.first_place()
        };
        place(self).cmp(&place(other))
    }

    /// Orders two numbers by exact value.
    pub(in crate::merge) fn compare(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.negative { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.negative { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        if self.negative != other.negative {
            return if self.negative { Ordering::Less } else { Ordering::Greater };
        }
        let magnitude = self.compare_place(other).then_with(|| self.significant().cmp(other.significant()));
        if self.negative { magnitude.reverse() } else { magnitude }
    }

    /// Equality as noops and lists know it: an integer never equals a number with a point or an exponent.
    pub(in crate::merge) fn equals(&self, other: &Self) -> bool {
        self.is_integer == other.is_integer && self.compare(other) == Ordering::Equal
    }

    /// Hashes so that equal numbers hash alike.
    pub(in crate::merge) fn hash_into(&self, hasher: &mut impl Hasher) {
        hasher.write_u8(u8::from(self.is_integer));
        if self.is_zero() {
            return;
        }
        hasher.write_u8(u8::from(self.negative));
        let place = self.written_exponent().and_then(|exponent| exponent.checked_add(self.first_place()));
        // Beyond this all places hash alike: one spelling of a number may fit 64 bits where another does not.
        hasher.write_i64(place.filter(|place| place.unsigned_abs() < 1 << 40).unwrap_or(0));
        for digit in self.significant() {
            hasher.write_u8(digit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(one: &str, other: &str) -> Ordering {
        let order = Number::new(one.as_bytes()).compare(&Number::new(other.as_bytes()));
        let back = Number::new(other.as_bytes()).compare(&Number::new(one.as_bytes()));
        assert_eq!(order, back.reverse());
        order
    }

    #[test]
    fn numbers_order_by_exact_value() {
        for pair in [
            ("1", "2"),
            ("-2", "-1"),
            ("-1", "0"),
            ("9007199254740992", "9007199254740993"),
            ("0.1", "0.10000000000000000001"),
            ("1e400", "1e401"),
            ("1e-999999999", "1e-999999998"),
            ("0", "1e-99999999999999999999999"),
            ("1e99999999999999999999", "1e100000000000000000000"),
            ("-1e99999999999999999999", "1e-5"),
            ("99", "1e2"),
            ("0.009", "1e-2"),
        ] {
            assert_eq!(order(pair.0, pair.1), Ordering::Less, "{pair:?}");
        }
        for pair in [
            ("1", "1.0"),
            ("100", "1e2"),
            ("0.0010", "1E-3"),
            ("-0", "0.0"),
            ("0e9", "0"),
            ("12.50e+1", "125"),
        ] {
            assert_eq!(order(pair.0, pair.1), Ordering::Equal, "{pair:?}");
        }
    }

    #[test]
    fn an_integer_never_equals_a_number_with_a_fraction_or_an_exponent() {
        let equals =
            |one: &str, other: &str| Number::new(one.as_bytes()).equals(&Number::new(other.as_bytes()));
        assert!(!equals("1", "1.0"));
        assert!(!equals("100", "1e2"));
        assert!(equals("1.0", "1.00"));
        assert!(equals("100.0", "1e2"));
        assert!(equals("-0", "0"));
        assert!(equals("-0.0", "0.0"));
        assert!(!equals("-0.0", "0"));
    }
}
