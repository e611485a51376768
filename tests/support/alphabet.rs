//! The small alphabets that names and scalars are drawn from, as JSON text: few enough to collide, odd enough to hurt.

/// The names that most members have.
pub const NAMES: [&str; 3] = [r#""a""#, r#""b""#, r#""c""#];

/// Spellings of names that JSON allows and a careless reader gets wrong.
pub const ODD_NAMES: [&str; 7] =
    [r#""\u0061""#, r#""a.b""#, r#""""#, r#""é""#, r#""\u00e9""#, r#""\ud800""#, r#""\u0000""#];

/// Numbers in spellings that must survive, and around every bound.
pub const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "-1",
    "1.0",
    "1.1",
    "1.10",
    "-0",
    "-0.0",
    "0.1",
    "0.2",
    "1e2",
    "100",
    "1E+2",
    "1e-3",
    "1e400",
    "1e1000",
    "1e1001",
    "-1.5e-1000",
    "1e99999999999999999999",
    "123456789012345678901234567890",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
];

/// Operands of increments: up to 28 digits, exponents within ±28.
pub const INCREMENTS: &[&str] = &[
    "1",
    "-1",
    "0",
    "-0",
    "0.1",
    "0.2",
    "-0.10",
    "0.00",
    "1e2",
    "2.5E+1",
    "1e-3",
    "1e28",
    "-1e-28",
    "9223372036854775807",
    "-9223372036854775808",
    "9999999999999999999999999999",
    "0.9999999999999999999999999999",
];

/// Strings, some of them one value in two spellings.
pub const STRINGS: &[&str] = &[
    r#""""#,
    r#""x""#,
    r#""y""#,
    r#""\u0078""#,
    r#""é""#,
    r#""\u00e9""#,
    r#""\u0000""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\ud83d\ude00""#,
    r#""😀""#,
    r#""\"\\\/\b\f\n\r\t""#,
    r#""2013-01-01T05:15:00Z""#,
    r#""2013-01-02T05:15:00Z""#,
];

/// The scalars that are neither numbers nor strings.
pub const WORDS: [&str; 3] = ["null", "true", "false"];
