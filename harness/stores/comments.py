"""What every table, view and column of the store means; any DuckDB client shows it.

Times are text in UTC that sorts as time does; the views have them as timestamps.
"""

from __future__ import annotations

QUOTE = "'"

JOB = "The job: one execution of a plan"
CANDIDATE = "The candidate's name in the plan"
PLAN = "Name of the plan"
STARTED = "When the job began, UTC"
STAGE = "The stage: one suite, benchmark, corpus or metric on one model"
METRIC = "Name of the metric, such as smoke.pass_rate"
UNIT = "Of the metric; share is 0 to 1"
BETTER = "Whether a larger value is better"
BEFORE = "Value of the original; empty where there is none"
AFTER = "Value of the candidate; empty where there is none"
DROP = "How much worse the candidate is, in the metric's own direction"
LOW = "Lower bound, one-sided 95 %"
HIGH = "Upper bound, one-sided 95 %"
PAIRS = "Items that were compared"
LOSSES = "Items that passed before and fail after"
GAINS = "Items that failed before and pass after"
SPARSITY = "Share of the decoder layers' weights removed"
DECISION = "PASS, REGRESSION or INCONCLUSIVE; ERROR: could not be judged"

TABLES: dict[str, dict[str, str]] = {
    "schema_version": {"": "Steps of the schema that this file has seen", "version": "Number of the step"},
    "jobs": {
        "": "One execution of a plan; finished and exit_code are empty while it runs or after a crash",
        "id": "Eight letters", "plan_name": PLAN, "plan": "The whole plan as JSON", "digest": "Hash of the plan",
        "command": "What was typed", "facts": "Versions and machine, as JSON",
        "fresh": "Whether everything was measured again", "started": "Begin", "finished": "End",
        "exit_code": "0 PASS, 1 REGRESSION, 2 INCONCLUSIVE, 3 could not finish",
    },
    "stages": {
        "": "One suite, benchmark, corpus or metric on one model; runs with equal hashes share it",
        "id": "Twelve letters", "fingerprint": "Identity of the model: weights, tokenizer, template and dtype",
        "key": "Hash of all else that could change the result",
        "kind": "suite, advice, divergence, benchmark, fidelity or metric",
        "name": "Of the suite, task, corpus or metric", "started": "Begin", "finished": "End; empty: not all is there",
        "facts": "What else is known, as JSON",
        "divergence": "Histogram, percentiles and worst passages of token KL divergences, as JSON; fidelity only",
    },
    "runs": {
        "": "Raw facts of one model in one job: the stages listed in run_stages",
        "id": "Eight letters", "job": JOB, "model": "original, or the candidate's name", "source": "Hub id or path",
        "revision": "Of the hub", "adapter": "Folder of its adapter", "dtype": "Of the weights",
        "fingerprint": "Identity of weights, tokenizer, template and dtype", "created": "When it was stored",
    },
    "run_stages": {"": "Which stages make up a run", "run": "The run", "stage": STAGE},
    "answers": {
        "": "What a model said, one row a case; text is empty when it did not answer",
        "stage": STAGE, "case_id": "The case", "prompt": "What the model was sent", "text": "What it said",
        "finish": "stop, length or error", "prompt_tokens": "Tokens read", "new_tokens": "Tokens written",
        "seconds": "Its share of the batch's time", "error": "Why there is no answer",
        "tokens": "Of the text, in the model's vocabulary", "logprobs": "Of the tokens, in nats; empty: not asked",
        "repeat": "How often the case was asked before; each repeat is a stage of its own",
    },
    "scores": {
        "": "Log-likelihoods of benchmark requests, kept so that an interrupted benchmark goes on",
        "stage": STAGE, "request": "Hash of context and continuation", "log_likelihood": "Of the continuation, in nats",
        "greedy": "Whether it is what greedy decoding would say",
    },
    "advice": {
        "": "What a judge or a model of embeddings replied about answers of a suite, each question once",
        "stage": STAGE, "question": "Hash of kind and text", "kind": "judge or embeddings", "asked": "The text",
        "reply": "Words of the judge, or a vector as JSON; empty: none", "error": "Why there is no reply",
    },
    "answer_divergences": {
        "": "How far a candidate is from its original at every token of the original's answers to a suite",
        "stage": STAGE, "case_id": "The case", "repeat": "Of the answer", "texts": "Of each token",
        "kl": "KL divergence at each token, in nats",
    },
    "measurements": {
        "": "Named numbers of one model; value is empty when it was NaN",
        "stage": STAGE, "metric": METRIC, "value": "The number", "unit": UNIT, "higher_is_better": BETTER,
        "scale": "binary, graded or reading",
    },
    "items": {
        "": "One row a document, window or block; what two runs are paired by",
        "stage": STAGE, "metric": METRIC, "position": "Order", "id": "Of the document, window or block",
        "hash": "Of all that the model was shown", "value": "Its part of the metric; empty when it was NaN",
        "cluster": "Items of one cluster are not independent; empty: alone", "weight": "In the mean",
        "choices": "Log-likelihoods of the answers to choose from, in nats; empty: none, or not kept",
    },
    "receipts": {
        "": "What compression did to make the model of this run", "run": "The run",
        "receipt": "Recipe, ratios, shape, seconds and notes, as JSON",
    },
    "verdicts": {
        "": "PASS, REGRESSION or INCONCLUSIVE, one row a candidate and job",
        "job": JOB, "candidate": CANDIDATE, "decision": DECISION, "reason": "In one sentence",
        "before_run": "The original's run", "after_run": "The candidate's run",
        "findings": "One object a gate, as JSON; v_findings has them as rows", "created": "When it was stored",
    },
    "schedules": {
        "": "When a plan is run again", "name": "Of the schedule", "plan": "File, or name of a built-in plan",
        "cron": "Minute, hour, day of month, month, day of week", "timezone": "In which the cron expression is read",
        "jitter_seconds": "A turn begins up to this much later", "retries": "Of a turn without a verdict",
        "notify": "File that says whom to tell", "handled": "Due moments up to this one are taken care of",
        "permissions": "What its suites may do, as JSON",
    },
    "turns": {
        "": "One due moment of a schedule and what came of it", "schedule": "Its name", "due": "The due moment",
        "state": "running, done, failed or skipped", "started": "Begin", "finished": "End", "attempts": "Their number",
        "exit_code": "Of the job", "job": JOB, "note": "What a reader should know",
    },
    "leases": {
        "": "The process that runs turns now; empty when none does", "pid": "Its number",
        "process_started": "When it came to life, seconds since 1970", "host": "Its machine",
        "boot": "Changes whenever the machine starts", "space": "Its process namespace", "taken": "Since when",
        "renewed": "Last sign of life",
    },
    "deltas": {
        "": "Derived: one row a metric of a candidate and its original",
        "job": JOB, "candidate": CANDIDATE, "metric": METRIC, "unit": UNIT, "higher_is_better": BETTER,
        "before": BEFORE, "after": AFTER, "drop": DROP, "low": LOW, "high": HIGH, "n": PAIRS, "losses": LOSSES,
        "gains": GAINS,
    },
    "flips": {
        "": "Derived: items that pass on one side only; v_flips has their answers",
        "job": JOB, "candidate": CANDIDATE, "metric": METRIC, "item": "Case or document", "kind": "loss or gain",
    },
    "checks": {
        "": "Derived: one assertion on one answer", "run": "The run", "suite": "The suite", "case_id": "The case",
        "position": "Of the assertion in the case", "type": "Of the assertion", "passed": "Whether it holds",
        "score": "0 to 1", "reason": "The evidence",
    },
    "grades": {
        "": "Derived: what all assertions of a case came to on one answer", "run": "The run", "suite": "The suite",
        "case_id": "The case", "passed": "Whether the case passed", "score": "0 to 1",
        "tries": "How often it was asked", "passes": "How many of its answers pass; flaky: neither none nor all",
    },
    "baselines": {
        "": "Results named as the ones to beat; of one name the newest counts", "name": "Of the baseline", "job": JOB,
        "candidate": CANDIDATE, "blessed": "When", "note": "Why",
    },
    "trials": {
        "": "One step of a search: a cut looked at on text, a candidate held against the gates, or a finalist judged",
        "job": JOB, "kind": "screen, gates (searched half), verdict (held-out half), variant (its fate), latency, aim",
        "variant": "Method and recovery", "sparsity": SPARSITY, "parameters": "Of the whole model",
        "measured": "Seconds a token, where those are minimised, and of latency; of aim what is expected of a target",
        "divergence": "From the original on the text of the screen, nats a token; of a trial as the curve has it",
        "divergence_low": LOW, "divergence_high": HIGH,
        "predicted": "At which sparsity the gates were expected to break when this trial was chosen",
        "predicted_low": "Lower end of that expectation", "predicted_high": "Upper end",
        "decision": "Of gates and verdicts: PASS, REGRESSION or INCONCLUSIVE; empty: a screen",
        "reason": "In one sentence", "findings": "One object a gate, as JSON",
        "verdict_job": "The job that judged a finalist; empty: none", "seconds": "It took", "created": "When it ended",
    },
    "v_predictions": {
        "": "Where every search expected the gates to break before its first trial, and where they did", "plan": PLAN,
        "variant": "Method and recovery", "started": STARTED, "job": JOB,
        "predicted": "Sparsity at which the gates were expected to break", "predicted_low": "Lower end",
        "predicted_high": "Upper end", "largest_passing": "Largest sparsity whose gates all passed",
        "smallest_failing": "Smallest that did not pass", "trials": "Candidates held against the gates",
    },
    "v_latest": {
        "": "The newest verdict of every candidate of every plan", "plan": PLAN, "candidate": CANDIDATE,
        "decision": DECISION, "reason": "In one sentence", "started": STARTED, "finished": "When it ended, UTC",
        "exit_code": "Of the whole job", "job": JOB, "before_run": "The original's run", "after_run": "The candidate's",
    },
    "v_findings": {
        "": "One row a gate of every verdict", "plan": PLAN, "candidate": CANDIDATE, "started": STARTED, "job": JOB,
        "position": "Of the gate in the plan", "metric": METRIC, "tag": "Only items with this tag; empty: all",
        "against": "original, or the baseline that the gate names", "decision": DECISION,
        "severity": "block or warn", "reason": "In one sentence", "before": BEFORE,
        "after": AFTER, "margin": "Of a margin gate", "estimate": "Of the drop, value or ratio", "low": LOW,
        "high": HIGH, "n": PAIRS,
    },
    "v_flips": {
        "": "Every item that passes on one side only, with both answers where it is a case of a suite", "plan": PLAN,
        "candidate": CANDIDATE, "started": STARTED, "job": JOB, "metric": METRIC, "item": "Case or document",
        "kind": "loss or gain", "prompt": "What was asked", "before": "The original's first answer",
        "after": "The candidate's first answer",
    },
    "v_trend": {
        "": "One row a metric, candidate and job: the history of every number", "plan": PLAN, "candidate": CANDIDATE,
        "metric": METRIC, "started": STARTED, "before": BEFORE, "after": AFTER, "drop": DROP, "low": LOW, "high": HIGH,
        "n": PAIRS, "losses": LOSSES, "gains": GAINS, "unit": UNIT, "higher_is_better": BETTER,
        "decision": "Of the candidate's whole verdict", "job": JOB, "run": "The candidate's run",
        "fingerprint": "Identity of the candidate",
    },
    "v_tradeoff": {
        "": "What each candidate of the newest jobs costs and saves, one row a quality metric", "plan": PLAN,
        "candidate": CANDIDATE, "decision": DECISION, "method": "Of its recipe; empty: not made here",
        "sparsity": SPARSITY, "size_ratio": "Bytes, after by before",
        "decode_ratio": "Decoding speed, after by before", "metric": METRIC, "unit": UNIT, "before": BEFORE,
        "after": AFTER, "drop": DROP, "low": LOW, "high": HIGH, "job": JOB,
    },
}  # fmt: skip
"""Table or view -> column -> meaning; the empty column is the table itself."""


def statements() -> str:
    """The comments as SQL."""
    return "\n".join(
        f"COMMENT ON {_subject(table, column)} IS '{text.replace(QUOTE, 2 * QUOTE)}';"
        for table, columns in TABLES.items()
        for column, text in columns.items()
    )


def _subject(table: str, column: str) -> str:
    if column:
        return f"COLUMN {table}.{column}"
    return f"{'VIEW' if table.startswith('v_') else 'TABLE'} {table}"
