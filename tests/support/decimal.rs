//! Exact decimals from the text of JSON numbers: the model's arithmetic.
//!
//! # Design
//! A number is a sign, a string of digits and a power of ten, as it was spelled. Sums go through one big
//! integer at a common scale; comparison goes through the digits, so that `1e400000000` needs no memory.
//!
//! # Why not a floating-point or a 64-bit path
//! The model has one path, the one nobody can get wrong: the library has the fast ones, and is judged by this.

use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;
use std::str::FromStr;

/// A base number written with an exponent beyond this, either way, takes no increment.
const EXPONENT_MAX: u32 = 1_000;

/// A JSON number: `digits × 10^exponent`, and whether it was spelled as an integer.
#[derive(Clone, Debug)]
pub struct Decimal {
    negative: bool,
    digits: String,
    exponent: BigInt,
    /// The exponent as written after the `e`.
    written_exponent: Option<BigInt>,
    /// Digits after the point, as written.
    fraction: usize,
    /// Spelled without a point and without an exponent.
    pub integer: bool,
}

impl Decimal {
    pub fn parse(text: &str) -> Self {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, written) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], Some(rest[at + 1..].trim_start_matches('+'))),
            None => (rest, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written_exponent = written.map(|text| BigInt::from_str(text).unwrap());
        Self {
            negative,
            digits: format!("{whole}{fraction}"),
            exponent: written_exponent.clone().unwrap_or_default() - BigInt::from(fraction.len()),
            fraction: fraction.len(),
            integer: written_exponent.is_none() && !mantissa.contains('.'),
            written_exponent,
        }
    }

    pub fn has_exponent(&self) -> bool {
        self.written_exponent.is_some()
    }

    pub fn fraction_digits(&self) -> usize {
        self.fraction
    }

    /// True where an increment may meet this number.
    pub fn takes_increments(&self) -> bool {
        self.written_exponent.iter().all(|exponent| exponent.magnitude() <= &BigUint::from(EXPONENT_MAX))
    }

    /// The one spelling of a value: no leading or trailing zeros, and zero has no sign.
    fn normal(&self) -> (Sign, &str, BigInt) {
        let digits = self.digits.trim_start_matches('0');
        let kept = digits.trim_end_matches('0');
        let sign = match (kept.is_empty(), self.negative) {
            (true, _) => return (Sign::NoSign, "", BigInt::default()),
            (_, true) => Sign::Minus,
            (_, false) => Sign::Plus,
        };
        (sign, kept, &self.exponent + BigInt::from(digits.len() - kept.len()))
    }

    /// Order by exact value: `1` and `1.0` tie.
    pub fn compare(&self, other: &Self) -> Ordering {
        let ((sign, digits, exponent), (other_sign, other_digits, other_exponent)) =
            (self.normal(), other.normal());
        if sign != other_sign {
            return sign.cmp(&other_sign);
        }
        let top = |digits: &str, exponent: &BigInt| exponent + BigInt::from(digits.len());
        let magnitude = top(digits, &exponent)
            .cmp(&top(other_digits, &other_exponent))
            .then_with(|| digits.cmp(other_digits));
        if sign == Sign::Minus { magnitude.reverse() } else { magnitude }
    }

    /// Equality of values: an integer never equals a non-integer.
    pub fn equals(&self, other: &Self) -> bool {
        self.integer == other.integer && self.normal() == other.normal()
    }

    /// The sum, written plainly with the longer fraction of the two: none where neither has one, as in `1e2` and `1`.
    pub fn sum(&self, other: &Self) -> String {
        let scale = self.scale().max(other.scale());
        let total = self.scaled(scale) + other.scaled(scale);
        let (sign, digits) = (total.sign(), total.magnitude().to_string());
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if sign == Sign::Minus { "-" } else { "" };
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// Digits after the point when written without an exponent.
    fn scale(&self) -> usize {
        usize::try_from(-&self.exponent).unwrap_or(0)
    }

    fn scaled(&self, scale: usize) -> BigInt {
        let zeros = u32::try_from(&self.exponent + BigInt::from(scale)).unwrap();
        let magnitude = BigInt::from_str(&self.digits).unwrap() * BigInt::from(10).pow(zeros);
        if self.negative { -magnitude } else { magnitude }
    }
}
