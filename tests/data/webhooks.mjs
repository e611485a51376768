// Makes webhooks.ndjson: real payloads, deep and wide, as documents for the laws of the algebra.
//
//   node tests/data/webhooks.mjs > tests/data/webhooks.ndjson
//
// It takes the examples of npm's @octokit/webhooks-examples, at the version named below: of each event that has
// at least four, the first four of at most 9 KB, until there are sixty. One line each: {"event":…,"payload":…}.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VERSION = "7.6.1";
const PER_EVENT = 4;
const PAYLOADS = 60;
const PAYLOAD_BYTES_MAX = 9 * 1024;

const directory = mkdtempSync(join(tmpdir(), "webhooks-"));
const run = (command, ...words) => execFileSync(command, words, { cwd: directory, stdio: ["ignore", "pipe", "ignore"] });
run("npm", "pack", `@octokit/webhooks-examples@${VERSION}`);
run("tar", "xzf", `octokit-webhooks-examples-${VERSION}.tgz`);

const events = JSON.parse(readFileSync(join(directory, "package/api.github.com/index.json"), "utf8"));
const lines = [];
for (const { name, examples } of events) {
  const small = examples.filter((payload) => JSON.stringify(payload).length <= PAYLOAD_BYTES_MAX);
  if (small.length < PER_EVENT || lines.length + PER_EVENT > PAYLOADS) continue;
  for (const payload of small.slice(0, PER_EVENT)) lines.push(JSON.stringify({ event: name, payload }));
}
process.stdout.write(lines.join("\n") + "\n");
