//! Sizes, times and counts as people write and read them: `256MiB`, `30s`, `334,264`.
//!
//! # Why not a crate
//! Two units are read and four are written, and an error must say what the flag takes; that is less than
//! the glue around a crate for sizes and another for times.

use std::time::Duration;

const KIB: f64 = 1024.0;

/// The units of a size, longest suffix first within a family.
const SIZES: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("B", 1),
];

/// The units of a time, in nanoseconds. `ms` stands before `s` and `m`, whose letters it has.
const TIMES: [(&str, u64); 5] = [
    ("ms", 1_000_000),
    ("us", 1_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
];

/// Reads a size in bytes: a whole number with `KiB`, `MiB`, `GiB` (powers of 1024), `KB`, `MB`, `GB` (powers of
/// 1000), `B` or nothing behind it.
pub fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) =
        SIZES.iter().find_map(|(suffix, unit)| Some((strip(text, suffix)?, *unit))).unwrap_or((text, 1));
    let number: u64 = digits
        .trim_end()
        .parse()
        .map_err(|_| "a size is a whole number with a unit, like 256MiB".to_owned())?;
    number
        .checked_mul(unit)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("{text} is more than this machine can address"))
}

/// Reads a time: a whole number with `ms`, `s`, `m` or `h` behind it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a whole number with a unit, like 500ms, 30s or 5m".to_owned();
    let (digits, unit) =
        TIMES.iter().find_map(|(suffix, unit)| Some((strip(text, suffix)?, *unit))).ok_or_else(wrong)?;
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_nanos).ok_or_else(|| format!("{text} is more than 500 years"))
}

/// The text before a suffix, upper or lower case.
fn strip<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let split = text.len().checked_sub(suffix.len())?;
    let (digits, tail) = text.split_at_checked(split)?;
    tail.eq_ignore_ascii_case(suffix).then_some(digits)
}

/// A count with a comma between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size with three or four figures, in powers of 1024.
pub fn bytes(number: u64) -> String {
    let mut value = float(number);
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < KIB {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= KIB;
    }
    format!("{value:.1} TiB")
}

/// A time in the unit that suits it.
pub fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1_000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// A rate over a time; nothing where the time is too short to tell.
pub fn rate(number: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { float(number) / seconds } else { 0.0 }
}

/// How many times `part` goes into `whole`, or `None` where there is no part.
pub fn ratio(whole: u64, part: u64) -> Option<f64> {
    (part > 0).then(|| float(whole) / float(part))
}

/// A count for ratios and rates, where the 53 bits that are kept are more than is shown.
#[expect(clippy::cast_precision_loss, reason = "shown with at most four figures")]
pub fn float(number: u64) -> f64 {
    number as f64
}

/// A rate for people, rounded to a whole number; what is not a sensible count is 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates"
)]
pub fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_of_either_family_in_either_case() {
        for (text, bytes) in [
            ("256MiB", 256 << 20),
            ("1gib", 1 << 30),
            ("64 KiB", 64 << 10),
            ("10MB", 10_000_000),
            ("10m", 10 << 20),
            ("4096", 4096),
            ("7B", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_an_example() {
        for text in ["", "MiB", "1.5MiB", "-1", "12parsecs", "１MiB", "é"] {
            assert!(size(text).is_err_and(|error| error.contains("256MiB")), "{text}");
        }
        assert!(size("99999999999GiB").is_err_and(|error| error.contains("address")));
    }

    #[test]
    fn a_time_needs_its_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        for text in ["", "30", "s", "1.5s", "-3s"] {
            assert!(duration(text).is_err_and(|error| error.contains("30s")), "{text}");
        }
        assert!(duration("99999999999h").is_err());
    }

    #[test]
    fn counts_and_sizes_read_well() {
        assert_eq!([count(0), count(999), count(1_000), count(334_264)], ["0", "999", "1,000", "334,264"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(1 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "1.0 GiB"]
        );
        assert_eq!(seconds(Duration::from_millis(12)), "12.0 ms");
        assert_eq!(seconds(Duration::from_millis(1_234)), "1.23 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
        assert_eq!(ratio(10, 0), None);
    }
}
