"""Measures opensearch-py's parallel_bulk on a file of bulk lines: dev/stock-clients runs it, and says how.

The client is used as its documentation has it: one dictionary for each operation, chunks of 1,000, retry_on_conflict
5 so that an update which meets another is carried out. What is measured is what millpond impact measures of itself: the
server's processor time and disk writes until its merges have ended, our own processor time, and every document at the end.
"""

import argparse
import contextlib
import gzip
import json
import os
import pathlib
import secrets
import statistics
import subprocess
import sys
import time

from opensearchpy import OpenSearch
from opensearchpy.helpers import parallel_bulk, scan

MERGES_SECONDS = 60
KNOWN = {"doc", "upsert", "doc_as_upsert", "detect_noop"}
SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "1s"}


@contextlib.contextmanager
def opened(path):
    """The lines of a file, whatever it is packed with."""
    magic = path.open("rb").read(4)
    if magic[:2] == b"\x1f\x8b":
        with gzip.open(path) as lines:
            yield lines
    elif magic == b"\x28\xb5\x2f\xfd":
        with subprocess.Popen(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE) as child:
            yield child.stdout
    else:
        with path.open("rb") as lines:
            yield lines


def operations(path):
    """Each operation: the verb, its metadata and its body."""
    with opened(path) as lines:
        for line in lines:
            if not line.strip():
                continue
            ((verb, metadata),) = json.loads(line).items()
            body = None if verb == "delete" else json.loads(next(lines))
            if verb == "update" and not set(body) <= KNOWN:
                sys.exit(f"stock-clients: a stock client has no {sorted(set(body) - KNOWN)}: use another file")
            yield verb, metadata, body


def actions(path, index):
    """The same, as parallel_bulk takes it."""
    for verb, metadata, body in operations(path):
        action = {"_op_type": verb, "_index": index, "_id": metadata["_id"]}
        if "routing" in metadata:
            action["routing"] = metadata["routing"]
        if verb == "update":
            action.update(body, retry_on_conflict=5)
        elif body is not None:
            action["_source"] = body
        yield action


def merged(document, patch):
    """As a server merges a partial document: objects into objects, everything else replaces."""
    for name, value in patch.items():
        old = document.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            merged(old, value)
        else:
            # Nothing of the input's is changed by what comes later.
            document[name] = json.loads(json.dumps(value)) if isinstance(value, dict) else value
    return document


def folded(path):
    """What the input comes to, one operation after the other."""
    documents = {}
    for verb, metadata, body in operations(path):
        identity = metadata["_id"]
        if verb == "delete":
            documents.pop(identity, None)
        elif verb == "index" or (verb == "create" and identity not in documents):
            documents[identity] = body
        elif verb == "update":
            if identity in documents:
                merged(documents[identity], body.get("doc", {}))
            elif body.get("doc_as_upsert"):
                documents[identity] = merged({}, body["doc"])
            elif "upsert" in body:
                documents[identity] = merged({}, body["upsert"])
    return documents


def process(pid):
    """Processor seconds and bytes written of a process."""
    if pid is None:
        return None, None
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    written = next(line for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines() if line.startswith("write_bytes:"))
    return ticks / os.sysconf("SC_CLK_TCK"), int(written.split()[1])


def settled(client, index):
    """Until nothing is left for the server to do."""
    client.indices.refresh(index=index)
    client.indices.flush(index=index, params={"wait_if_ongoing": "true"})
    deadline = time.monotonic() + MERGES_SECONDS
    while time.monotonic() < deadline:
        stats = client.indices.stats(index=index, metric="merge")
        if stats["_all"]["total"]["merges"]["current"] == 0:
            return
        time.sleep(0.05)


def run(client, path, index, threads, chunk, pid):
    """One run: what it took, and the operations that failed."""
    cpu, written = process(pid)
    wall, own = time.monotonic(), time.process_time()
    sent = failed = 0
    results = parallel_bulk(
        client, actions(path, index), thread_count=threads, chunk_size=chunk, raise_on_error=False, raise_on_exception=False
    )
    for ok, item in results:
        status = next(iter(item.values())).get("status")
        sent += 1
        failed += not ok and status not in (404,)
    figures = {"wall": time.monotonic() - wall, "client_cpu": time.process_time() - own, "operations": sent, "failed": failed}
    settled(client, index)
    cpu_after, written_after = process(pid)
    figures["server_cpu"] = None if cpu is None else cpu_after - cpu
    figures["written"] = None if written is None else written_after - written
    return figures


def wrong(client, index, expected):
    """How many documents are not as they should be."""
    found = {hit["_id"]: hit["_source"] for hit in scan(client, index=index, size=500)}
    identities = set(found) | set(expected)
    return sum(found.get(identity) != expected.get(identity) for identity in identities)


def shown(figures):
    def size(value):
        return "-" if value is None else f"{value / (1 << 20):.1f} MiB"

    def seconds(value):
        return "-" if value is None else f"{value:.2f} s"

    cells = [seconds(figures["wall"]), seconds(figures["client_cpu"]), seconds(figures["server_cpu"]), size(figures["written"])]
    return cells + [f"{figures['operations']:,}", f"{figures['failed']:,}", f"{figures['wrong']:,} of {figures['documents']:,}"]


def main():
    parser = argparse.ArgumentParser(prog="dev/stock-clients", description=__doc__)
    parser.add_argument("file", nargs="?", type=pathlib.Path, default=pathlib.Path("data/flights.ndjson.zst"))
    parser.add_argument("--sink", required=True, metavar="URL")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--threads", default="1,4")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--chunk", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    client = OpenSearch([arguments.sink], timeout=120)
    expected = folded(arguments.file)
    rows = []
    prefix = f"millpond-stock-{secrets.token_hex(4)}"
    number = 0
    for threads in map(int, arguments.threads.split(",")):
        # The first one warms, and does not count.
        for turn in range(arguments.runs + 1):
            number += 1
            index = f"{prefix}-{number}"
            client.indices.create(index=index, body={"settings": SETTINGS})
            try:
                figures = run(client, arguments.file, index, threads, arguments.chunk, arguments.pid)
                figures.update(threads=threads, wrong=wrong(client, index, expected), documents=len(expected))
            finally:
                client.indices.delete(index=index)
            if turn > 0:
                rows.append(figures)
                print(f"{threads} threads, run {turn} of {arguments.runs}: {' '.join(shown(figures))}", file=sys.stderr)

    if arguments.json:
        print(json.dumps({"input": str(arguments.file), "chunk": arguments.chunk, "runs": rows}))
        return
    head = ["opensearch-py parallel_bulk", "wall", "client CPU", "server CPU", "written", "operations", "failed", "wrong"]
    print("".join(f"{text:>{width}}" for text, width in zip(head, (28, 11, 12, 12, 12, 12, 9, 16))))
    for threads in sorted({row["threads"] for row in rows}):
        own = [row for row in rows if row["threads"] == threads]
        middle = {
            key: None if own[0][key] is None else statistics.median(row[key] for row in own)
            for key in own[0]
        }
        middle["wrong"], middle["operations"], middle["failed"] = (int(max(row[key] for row in own)) for key in ("wrong", "operations", "failed"))
        middle["documents"] = int(middle["documents"])
        name = f"{threads} thread{'s' if threads > 1 else ''}, chunks of {arguments.chunk:,}"
        print(f"{name:<28}" + "".join(f"{text:>{width}}" for text, width in zip(shown(middle), (11, 12, 12, 12, 12, 9, 16))))
    print(f"\nmedians of {arguments.runs} runs, of wrong and failed the most; each after one that did not count")


if __name__ == "__main__":
    main()
