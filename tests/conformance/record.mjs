// Record what promptfoo says of every case in tests/suites/cases/ and of every test in tests/suites/tests.json, and
// what it asks a judge in the words of tests/suites/words.json.
//
//   npm install --prefix FOLDER promptfoo@0.121.20
//   node tests/conformance/record.mjs FOLDER
//
// It writes tests/suites/promptfoo.json, which is kept; tests/suites/test_conformance.py compares ours with it. Nothing
// is asked of any model: a provider replays the answer of each case.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const VERSION = "0.121.20";
const suites = join(dirname(dirname(fileURLToPath(import.meta.url))), "suites");
const folder = resolve(process.argv[2] ?? ".");

process.env.PROMPTFOO_DISABLE_TELEMETRY = "1";
process.env.PROMPTFOO_DISABLE_UPDATE = "1";
process.env.PROMPTFOO_DISABLE_REMOTE_GENERATION = "1";
process.env.PROMPTFOO_CONFIG_DIR = join(folder, "promptfoo-state");
process.env.PROMPTFOO_PYTHON ??= "python3";

const home = join(folder, "node_modules/promptfoo");
const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
if (version !== VERSION) throw new Error(`promptfoo ${VERSION} is recorded, found ${version}`);
const { default: promptfoo } = await import(pathToFileURL(join(home, "dist/src/index.js")).href);

const read = (name) => JSON.parse(readFileSync(join(suites, name), "utf8"));

/** One promptfoo test; `answer` and `facts` are replayed by the provider, which finds them by number. */
function asked({ answer, facts = {} }, test, number) {
  const { seconds, logprobs, finish, cost, said = [], vectors = {}, vars = {} } = facts;
  const reply = { output: answer, cost, logProbs: logprobs, finishReason: finish };
  if (seconds !== undefined) reply.latencyMs = 1000 * seconds;
  const questions = [];
  const provider = "said" in facts || "vectors" in facts ? replayed(said, vectors, questions) : undefined;
  const assert = test.assert?.map((one) => (provider ? { ...one, provider } : one));
  return { reply, questions, test: { ...test, assert, vars: { ...test.vars, ...vars, number } } };
}

/** A judge that gives its replies one after the other, the last one again and again; and vectors by their text. */
function replayed(said, vectors, questions) {
  return {
    id: () => "replayed",
    callApi: async (question) => ({ output: said[Math.min(questions.push(question), said.length) - 1] }),
    callEmbeddingApi: async (text) => ({ embedding: vectors[text] }),
  };
}

// promptfoo's meteor ends with an error whatever it is given: it looks for PorterStemmer where `natural` has none.
// The judge of context-* is asked in another form, which promptfoo cannot read.
const left_out = ["meteor.json", "context-faithfulness.json", "context-recall.json", "context-relevance.json"];

const all = [];
for (const file of readdirSync(join(suites, "cases")).sort()) {
  if (left_out.includes(file) || read(`cases/${file}`).some((row) => "original" in row)) continue;
  const type = file.replace(".json", "").replace("_", ":");
  for (const row of read(`cases/${file}`)) {
    for (const form of [type, `not-${type}`]) {
      all.push({ key: form, row, ...asked(row, { assert: [{ type: form, ...row.options }] }, all.length) });
    }
  }
}
for (const row of read("tests.json")) all.push({ key: "tests", row, ...asked(row, row.test, all.length) });
for (const row of read("words.json")) {
  all.push({ key: "words", row, ...asked({ ...row, facts: { said: row.said } }, row.test, all.length) });
}

const replay = async (prompt, context) => all[context.vars.number].reply;
const config = { prompts: ["{{number}}"], providers: [replay], tests: all.map((each) => each.test) };
const { results } = await promptfoo.evaluate(config, { maxConcurrency: 1, cache: false, showProgressBar: false });

const record = {};
for (const result of results) {
  const { key, row, questions } = all[result.testCase.vars.number];
  const graded = result.gradingResult;
  record[key] ??= {};
  const of = createHash("sha256").update(row.answer).digest("hex").slice(0, 8);
  record[key][row.why] = graded ? { of, passed: graded.pass, score: graded.score } : { of, error: true };
  if (key === "words") Object.assign(record[key][row.why], { number: result.testCase.vars.number, asked: questions });
}
const lines = Object.keys(record).sort().map((key) => {
  const rows = Object.entries(record[key]).map(([why, said]) => `    ${JSON.stringify(why)}: ${JSON.stringify(said)}`);
  return `  ${JSON.stringify(key)}: {\n${rows.join(",\n")}\n  }`;
});
writeFileSync(join(suites, "promptfoo.json"), `{\n${lines.join(",\n")}\n}\n`);
console.log(`${results.length} results of promptfoo ${version}`);
