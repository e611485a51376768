//! Help, wrong usage, and colours.

use super::Place;

#[test]
fn every_command_has_help_with_an_example() {
    let place = Place::new();
    for command in ["", "replay", "estimate", "get", "scan", "generate"] {
        let help = place.well(&format!("{command} --help"));
        assert!(help.contains("Example") && help.contains("millpond "), "{command}: {help}");
    }
    for command in ["verify", "stats"] {
        assert!(place.well(&format!("{command} --help")).contains("DIR"));
    }
}

#[test]
fn the_help_of_replay_names_every_flag_and_every_exit_status() {
    let help = Place::new().well("replay --help");
    for flag in [
        "--index",
        "--sink",
        "--memory",
        "--max-delay",
        "--writers",
        "--batch-bytes",
        "--batch-ops",
        "--rejects",
        "--dead-letters",
        "--report",
        "--quiet",
        "256MiB",
        "30s",
        "segments:DIR",
        "ndjson:FILE",
    ] {
        assert!(help.contains(flag), "{flag} is not in {help}");
    }
    for status in ["0 all well", "1 failed", "2 wrong usage", "3 finished with rejects", "130"] {
        assert!(help.contains(status), "{status} is not in {help}");
    }
}

#[test]
fn wrong_usage_is_status_2_and_names_the_flag() {
    let place = Place::new();
    for (arguments, part) in [
        ("", "Usage"),
        ("frobnicate", "unrecognized subcommand"),
        ("replay --sink kafka:x", "--sink"),
        ("replay --memory lots", "--memory"),
        ("replay --max-delay 30", "--max-delay"),
        ("replay --writers 0", "--writers"),
        ("replay --batch-ops 0", "--batch-ops"),
        ("replay - -", "standard input"),
        ("scan db --after 1", "--index"),
        ("generate --documents 0 --operations 1", "--documents"),
        ("generate --operations 1", "--documents"),
        ("generate --documents 1 --operations 1 --update-share 2", "--update-share"),
        ("generate --documents 1 --operations 1 --update-share 0.9 --delete-share 0.2", "--delete-share"),
        ("generate --documents 1 --operations 1 --zipf=-1", "--zipf"),
        ("get db index", "ID"),
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.status, 2, "{arguments}: {}", ran.stderr);
        assert!(ran.stderr.contains(part), "{arguments}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments}");
    }
}

#[test]
fn colours_are_for_terminals_and_not_where_no_color_is_set() {
    let place = Place::new();
    let output = |variable: Option<&str>, value| {
        let mut command = place.command("replay missing.ndjson");
        if let Some(variable) = variable {
            command.env(variable, value);
        }
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(!output(None, "").contains('\x1b'), "a pipe is not a terminal");
    assert!(output(Some("CLICOLOR_FORCE"), "1").contains('\x1b'), "colours exist");
    assert!(!output(Some("NO_COLOR"), "1").contains('\x1b'));
}
