// Record what promptfoo asks of every suite in tests/suites/language/, and what it says of the question as an answer.
//
//   npm install --prefix FOLDER promptfoo@0.121.20
//   node tests/conformance/language.mjs FOLDER
//
// It writes tests/suites/language/asked.json, which is kept; tests/suites/test_language.py compares ours with it.
// Nothing is asked of any model: promptfoo's provider "echo" answers with the prompt.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const suites = join(dirname(dirname(fileURLToPath(import.meta.url))), "suites", "language");
const home = resolve(process.argv[2] ?? ".", "node_modules/promptfoo");
const state = mkdtempSync(join(tmpdir(), "promptfoo-"));
const quiet = { PROMPTFOO_DISABLE_TELEMETRY: "1", PROMPTFOO_DISABLE_UPDATE: "1", PROMPTFOO_CONFIG_DIR: state };

function asked(suite) {
  const out = join(state, `${suite}.json`);
  const options = ["--no-cache", "--no-write", "--no-table", "--no-progress-bar", "-j", "1", "-o", out];
  const command = [join(home, "dist/src/entrypoint.js"), "eval", "-c", `${suite}.yaml`, ...options];
  const done = spawnSync(process.execPath, command, { cwd: suites, env: { ...process.env, ...quiet } });
  // It ends with 100 where an assertion fails.
  if (![0, 100].includes(done.status)) throw new Error(`${suite}: ${done.stderr}`);
  const { results } = JSON.parse(readFileSync(out, "utf8")).results;
  results.sort((one, other) => one.testIdx - other.testIdx || one.promptIdx - other.promptIdx);
  return results.map(({ response, success, score }) => ({ asked: response.output, passed: success, score }));
}

const names = readdirSync(suites).filter((file) => file.endsWith(".yaml")).sort();
const record = Object.fromEntries(names.map((file) => file.replace(".yaml", "")).map((name) => [name, asked(name)]));
writeFileSync(join(suites, "asked.json"), JSON.stringify(record, null, 1) + "\n");
