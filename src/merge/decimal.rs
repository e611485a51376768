//! Exact decimal sums.
//!
//! # Design
//! A number is an integer and a count of fraction digits. A sum has the longer fraction of the two, so that adding
//! is associative in its digits as well as in its value. Short integers add in 64 bits, most others in 128, and
//! what is longer as big integers.
//!
//! # Why not binary floating point
//! 0.1 + 0.2 is not 0.3 there, and (a + b) + c is not a + (b + c): folding would show.

use super::json::number::Number;
use super::json::scan::byte;
use num_bigint::{BigInt, Sign};
use std::io::Write;

/// Exponents beyond this are not added to: the digits would have to be written out.
pub(super) const EXPONENT_MAX: u64 = 1_000;

/// Numbers whose text is longer than this are not added to.
const DIGITS_MAX: usize = 4 * crate::operation::NUMBER_BYTES_MAX;

/// Digits that always fit an `i128`.
const SMALL_DIGITS: usize = 38;

/// Writes the sum of two numbers; false, and nothing written, where one is too long or its exponent too large.
pub(super) fn write_sum(one: &[u8], other: &[u8], out: &mut Vec<u8>) -> bool {
    if let (Some(one), Some(other)) = (short_integer(one), short_integer(other)) {
        write_short(out, one + other);
        return true;
    }
    write_long_sum(one, other, out)
}

#[inline(never)]
fn write_long_sum(one: &[u8], other: &[u8], out: &mut Vec<u8>) -> bool {
    let (Some(one), Some(other)) = (Decimal::read(one), Decimal::read(other)) else { return false };
    one.plus(other).write(out);
    true
}

/// Writes a number plainly: no exponent, no negative zero. As it is where that cannot be done.
pub(super) fn write_plain(text: &[u8], out: &mut Vec<u8>) {
    match Decimal::read(text) {
        Some(decimal) => decimal.write(out),
        None => out.extend_from_slice(text),
    }
}

/// True where a base can be added to.
pub(super) fn is_addable(text: &[u8]) -> bool {
    shape(text).is_some()
}

/// True where adding this operand to this base gives a number equal to the base.
pub(super) fn leaves_equal(base: &[u8], operand: &[u8]) -> bool {
    let (Some((base_number, _, base_scale)), Some((operand_number, _, scale))) =
        (shape(base), shape(operand))
    else {
        return false;
    };
    operand_number.is_zero() && base_number.is_integer == (base_scale.max(scale) == 0)
}

/// An integer of at most 18 digits.
#[inline]
pub(super) fn short_integer(text: &[u8]) -> Option<i64> {
    let negative = byte(text, 0) == b'-';
    let digits = text.get(usize::from(negative)..)?;
    if digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Some(if negative { -value } else { value })
}

/// A number's parts, the zeros to put after its digits, and its fraction digits; `None` where it is too long.
fn shape(text: &[u8]) -> Option<(Number<'_>, usize, usize)> {
    if text.len() > DIGITS_MAX {
        return None;
    }
    let number = Number::new(text);
    let exponent = number.written_exponent().filter(|exponent| exponent.unsigned_abs() <= EXPONENT_MAX)?;
    let shift = exponent - i64::try_from(number.fraction.len()).ok()?;
    let distance = usize::try_from(shift.unsigned_abs()).ok()?;
    Some(if shift < 0 { (number, 0, distance) } else { (number, distance, 0) })
}

struct Decimal {
    unscaled: Unscaled,
    scale: usize,
}

enum Unscaled {
    Small(i128),
    Big(BigInt),
}

impl Decimal {
    fn read(text: &[u8]) -> Option<Self> {
        let (number, zeros, scale) = shape(text)?;
        let digits = number.whole.iter().chain(number.fraction).copied();
        if number.whole.len() + number.fraction.len() + zeros <= SMALL_DIGITS {
            let value = digits
                .chain(std::iter::repeat_n(b'0', zeros))
                .fold(0_i128, |value, digit| value * 10 + i128::from(digit.wrapping_sub(b'0')));
            let value = if number.negative { -value } else { value };
            return Some(Self { unscaled: Unscaled::Small(value), scale });
        }
        let digits: Vec<u8> = digits.chain(std::iter::repeat_n(b'0', zeros)).collect();
        let value = BigInt::parse_bytes(&digits, 10)?;
        let value = if number.negative { -value } else { value };
        Some(Self { unscaled: Unscaled::Big(value), scale })
    }

    fn plus(self, other: Self) -> Self {
        let scale = self.scale.max(other.scale);
        let (one, two) = (self.at_scale(scale), other.at_scale(scale));
        let unscaled = match (one, two) {
            (Unscaled::Small(one), Unscaled::Small(two)) => match one.checked_add(two) {
                Some(sum) => Unscaled::Small(sum),
                None => Unscaled::Big(BigInt::from(one) + BigInt::from(two)),
            },
            (one, two) => Unscaled::Big(one.big() + two.big()),
        };
        Self { unscaled, scale }
    }

    /// The integer when the number is to have this many fraction digits, which is not fewer than it has.
    fn at_scale(self, scale: usize) -> Unscaled {
        let zeros = u32::try_from(scale - self.scale).unwrap_or(0);
        if zeros == 0 {
            return self.unscaled;
        }
        let small = match self.unscaled {
            Unscaled::Small(value) => 10_i128.checked_pow(zeros).and_then(|power| value.checked_mul(power)),
            Unscaled::Big(_) => None,
        };
        match small {
            Some(value) => Unscaled::Small(value),
            None => Unscaled::Big(self.unscaled.big() * BigInt::from(10).pow(zeros)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match &self.unscaled {
            Unscaled::Small(value) => write_integer(out, *value),
            Unscaled::Big(value) => {
                if value.sign() == Sign::Minus {
                    out.push(b'-');
                }
                out.extend_from_slice(value.magnitude().to_str_radix(10).as_bytes());
            }
        }
        if self.scale > 0 {
            let digits_start = start + usize::from(byte(out, start) == b'-');
            let missing = (self.scale + 1).saturating_sub(out.len() - digits_start);
            out.splice(digits_start..digits_start, std::iter::repeat_n(b'0', missing));
            out.insert(out.len() - self.scale, b'.');
        }
    }
}

impl Unscaled {
    fn big(self) -> BigInt {
        match self {
            Unscaled::Small(value) => BigInt::from(value),
            Unscaled::Big(value) => value,
        }
    }
}

fn write_integer(out: &mut Vec<u8>, value: i128) {
    if let Ok(value) = i64::try_from(value) {
        return write_short(out, value);
    }
    let written = write!(out, "{value}");
    debug_assert!(written.is_ok(), "writing to memory does not fail");
}

/// Digits of the longest 64-bit integer, and a sign.
const SHORT_BYTES: usize = 20;

/// Writes a 64-bit integer: counters are written so often that the machinery of formatting shows.
fn write_short(out: &mut Vec<u8>, value: i64) {
    // Of a fixed length, which takes no call to copy.
    let (mut bytes, mut rest, mut start) = ([b'-'; 2 * SHORT_BYTES], value.unsigned_abs(), SHORT_BYTES);
    for byte in bytes.iter_mut().take(SHORT_BYTES).rev() {
        *byte = b'0' + (rest % 10).to_le_bytes()[0];
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    start -= usize::from(value < 0);
    let length = SHORT_BYTES - start;
    if let Some(digits) = bytes.get(start..).and_then(<[u8]>::first_chunk::<SHORT_BYTES>) {
        out.extend_from_slice(digits);
        out.truncate(out.len() + length - SHORT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(one: &str, other: &str) -> Option<String> {
        let mut out = Vec::new();
        let mut back = Vec::new();
        let added = write_sum(one.as_bytes(), other.as_bytes(), &mut out);
        assert_eq!(added, write_sum(other.as_bytes(), one.as_bytes(), &mut back));
        assert_eq!(out, back);
        added.then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn sums_are_exact_and_keep_the_longer_fraction() {
        for (one, other, expected) in [
            ("1", "2", "3"),
            ("-5", "5", "0"),
            ("0.1", "0.2", "0.3"),
            ("1.10", "2", "3.10"),
            ("-0", "-0", "0"),
            ("-0.0", "0", "0.0"),
            ("0.05", "-0.10", "-0.05"),
            ("1.5e3", "0", "1500"),
            ("1.50e1", "0", "15.0"),
            ("1e-3", "1", "1.001"),
            ("999999999999999999", "1", "1000000000000000000"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("-9223372036854775807", "-1", "-9223372036854775808"),
            ("-999999999999999999", "-1", "-1000000000000000000"),
            ("100", "-101", "-1"),
            ("99999999999999999999999999999999999999", "1", "100000000000000000000000000000000000000"),
            (
                "170141183460469231731687303715884105727",
                "170141183460469231731687303715884105727",
                "340282366920938463463374607431768211454",
            ),
            ("1e28", "1e-28", "10000000000000000000000000000.0000000000000000000000000001"),
            ("-1e28", "1e-28", "-9999999999999999999999999999.9999999999999999999999999999"),
        ] {
            assert_eq!(sum(one, other).as_deref(), Some(expected), "{one} + {other}");
        }
    }

    #[test]
    fn an_exponent_beyond_a_thousand_is_not_added_to() {
        assert_eq!(sum("1e1001", "1"), None);
        assert_eq!(sum("1e-1001", "1"), None);
        assert_eq!(sum("1e99999999999999999999", "1"), None);
        assert_eq!(sum("1e1000", "1").map(|sum| sum.len()), Some(1_001));
        assert_eq!(sum("1e-1000", "0").map(|sum| sum.len()), Some(1_002));
    }

    #[test]
    fn adding_zero_leaves_a_number_equal_unless_it_stops_being_an_integer() {
        assert!(leaves_equal(b"1", b"0"));
        assert!(leaves_equal(b"1.5", b"0"));
        assert!(leaves_equal(b"1.5", b"0.000"));
        assert!(!leaves_equal(b"1", b"0.0"));
        assert!(!leaves_equal(b"1e2", b"0"));
        assert!(!leaves_equal(b"1", b"1"));
        assert!(!leaves_equal(b"1e2000", b"0"));
    }
}
