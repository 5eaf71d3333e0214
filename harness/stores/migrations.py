"""The schema of the DuckDB store as numbered steps. A step that has been released is never edited."""

M001 = """
CREATE TABLE jobs (
  id VARCHAR PRIMARY KEY, plan_name VARCHAR NOT NULL, plan JSON NOT NULL, digest VARCHAR NOT NULL,
  command VARCHAR NOT NULL, facts JSON NOT NULL, fresh BOOLEAN NOT NULL,
  started VARCHAR NOT NULL, finished VARCHAR, exit_code INTEGER);
CREATE TABLE stages (
  id VARCHAR PRIMARY KEY, fingerprint VARCHAR NOT NULL, key VARCHAR NOT NULL, kind VARCHAR NOT NULL,
  name VARCHAR NOT NULL, started VARCHAR NOT NULL, finished VARCHAR, facts JSON NOT NULL);
CREATE TABLE runs (
  id VARCHAR PRIMARY KEY, job VARCHAR NOT NULL, model VARCHAR NOT NULL, source VARCHAR NOT NULL, revision VARCHAR,
  adapter VARCHAR, dtype VARCHAR NOT NULL, fingerprint VARCHAR NOT NULL, created VARCHAR NOT NULL);
CREATE TABLE run_stages (run VARCHAR NOT NULL, stage VARCHAR NOT NULL, PRIMARY KEY (run, stage));
CREATE TABLE answers (
  stage VARCHAR NOT NULL, case_id VARCHAR NOT NULL, prompt VARCHAR NOT NULL, text VARCHAR, finish VARCHAR NOT NULL,
  prompt_tokens INTEGER NOT NULL, new_tokens INTEGER NOT NULL, seconds DOUBLE NOT NULL, error VARCHAR,
  PRIMARY KEY (stage, case_id));
CREATE TABLE scores (
  stage VARCHAR NOT NULL, request VARCHAR NOT NULL, log_likelihood DOUBLE NOT NULL, greedy BOOLEAN NOT NULL,
  PRIMARY KEY (stage, request));
CREATE TABLE measurements (
  stage VARCHAR NOT NULL, metric VARCHAR NOT NULL, value DOUBLE, unit VARCHAR NOT NULL,
  higher_is_better BOOLEAN NOT NULL, scale VARCHAR NOT NULL, PRIMARY KEY (stage, metric));
CREATE TABLE items (
  stage VARCHAR NOT NULL, metric VARCHAR NOT NULL, position INTEGER NOT NULL, id VARCHAR NOT NULL,
  hash VARCHAR NOT NULL, value DOUBLE, cluster VARCHAR NOT NULL, weight DOUBLE NOT NULL,
  PRIMARY KEY (stage, metric, position));
CREATE TABLE receipts (run VARCHAR PRIMARY KEY, receipt JSON NOT NULL);
CREATE TABLE verdicts (
  job VARCHAR NOT NULL, candidate VARCHAR NOT NULL, decision VARCHAR NOT NULL, reason VARCHAR NOT NULL,
  before_run VARCHAR NOT NULL, after_run VARCHAR NOT NULL, findings JSON NOT NULL, created VARCHAR NOT NULL,
  PRIMARY KEY (job, candidate));
COMMENT ON TABLE jobs IS 'One execution of a plan; finished and exit_code are empty while it runs or after a crash';
COMMENT ON TABLE stages IS 'One suite, benchmark, corpus or metric on one model; runs with equal hashes share it';
COMMENT ON TABLE runs IS 'Raw facts of one model in one job: the stages listed in run_stages';
COMMENT ON TABLE answers IS 'What a model said, one row a case; text is empty when it did not answer';
COMMENT ON TABLE scores IS 'Log-likelihoods of benchmark requests, kept so that an interrupted benchmark goes on';
COMMENT ON TABLE measurements IS 'Named numbers; value is empty when it was NaN';
COMMENT ON TABLE items IS 'One row a document, window or block; what two runs are paired by';
COMMENT ON TABLE receipts IS 'What compression did to make the model of this run';
COMMENT ON TABLE verdicts IS 'PASS, REGRESSION or INCONCLUSIVE, one row a candidate and job';
"""

M002 = """
CREATE TABLE schedules (
  name VARCHAR PRIMARY KEY, plan VARCHAR NOT NULL, cron VARCHAR NOT NULL, timezone VARCHAR NOT NULL,
  jitter_seconds INTEGER NOT NULL, retries INTEGER NOT NULL, notify VARCHAR, handled VARCHAR NOT NULL);
CREATE TABLE turns (
  schedule VARCHAR NOT NULL, due VARCHAR NOT NULL, state VARCHAR NOT NULL, started VARCHAR NOT NULL, finished VARCHAR,
  attempts INTEGER NOT NULL, exit_code INTEGER, job VARCHAR NOT NULL, note VARCHAR NOT NULL,
  PRIMARY KEY (schedule, due));
CREATE TABLE leases (
  pid INTEGER NOT NULL, process_started DOUBLE NOT NULL, host VARCHAR NOT NULL, boot VARCHAR NOT NULL,
  space VARCHAR NOT NULL, taken VARCHAR NOT NULL, renewed VARCHAR NOT NULL);
COMMENT ON TABLE schedules IS 'When a plan is run again; due moments up to handled are taken care of';
COMMENT ON TABLE turns IS 'One due moment of a schedule: running, done, failed or skipped, with the job it made';
COMMENT ON TABLE leases IS 'The process that runs turns now; empty when none does';
"""

M003 = """
CREATE TABLE outbox (
  id VARCHAR PRIMARY KEY, account VARCHAR NOT NULL, job VARCHAR NOT NULL, run VARCHAR NOT NULL,
  case_id VARCHAR NOT NULL, side VARCHAR NOT NULL, kind VARCHAR NOT NULL, depends_on VARCHAR[] NOT NULL,
  payload JSON NOT NULL, state VARCHAR NOT NULL, attempts INTEGER NOT NULL, next_attempt_at VARCHAR NOT NULL,
  lease_until VARCHAR, http_status INTEGER, error_class VARCHAR, error_text VARCHAR, remote_id VARCHAR,
  remote_url VARCHAR, created_at VARCHAR NOT NULL, sent_at VARCHAR);
COMMENT ON TABLE outbox IS 'What is to be told to PromptLayer, written together with the verdict it comes from';
COMMENT ON COLUMN outbox.id IS 'Dedupe key: sent as metadata secateur_id, and looked up before a letter is sent again';
COMMENT ON COLUMN outbox.account IS 'Environment variable that holds the API key; the key itself is never stored';
COMMENT ON COLUMN outbox.job IS 'The job that wrote it';
COMMENT ON COLUMN outbox.run IS 'The run it tells of';
COMMENT ON COLUMN outbox.case_id IS 'Suite and case; empty for what concerns a whole run';
COMMENT ON COLUMN outbox.side IS 'original or candidate';
COMMENT ON COLUMN outbox.kind IS 'group, log, score, member, table, sheet, import or scorecard';
COMMENT ON COLUMN outbox.depends_on IS 'Ids of letters to be sent before, in the order the payload needs them';
COMMENT ON COLUMN outbox.payload IS 'What is sent, redacted';
COMMENT ON COLUMN outbox.state IS 'pending: surely not there; inflight: perhaps; sent; dead; skipped: needs a dead one';
COMMENT ON COLUMN outbox.attempts IS 'How often it was sent';
COMMENT ON COLUMN outbox.next_attempt_at IS 'UTC; not sent before';
COMMENT ON COLUMN outbox.lease_until IS 'UTC; an inflight letter is looked up after this moment';
COMMENT ON COLUMN outbox.http_status IS 'Of the last answer; empty if there was none';
COMMENT ON COLUMN outbox.error_class IS 'refused, later, unsure or unauthorised; empty if nothing went wrong';
COMMENT ON COLUMN outbox.error_text IS 'What PromptLayer or the network said last';
COMMENT ON COLUMN outbox.remote_id IS 'Id of the request, group, table, sheet, import or scorecard at PromptLayer';
COMMENT ON COLUMN outbox.remote_url IS 'Where to see it';
COMMENT ON COLUMN outbox.created_at IS 'UTC';
COMMENT ON COLUMN outbox.sent_at IS 'UTC';
"""

M004 = """
CREATE TABLE deltas (
  job VARCHAR NOT NULL, candidate VARCHAR NOT NULL, metric VARCHAR NOT NULL, unit VARCHAR NOT NULL,
  higher_is_better BOOLEAN NOT NULL, before DOUBLE, after DOUBLE, drop DOUBLE, low DOUBLE, high DOUBLE,
  n INTEGER NOT NULL, losses INTEGER NOT NULL, gains INTEGER NOT NULL, PRIMARY KEY (job, candidate, metric));
CREATE TABLE flips (
  job VARCHAR NOT NULL, candidate VARCHAR NOT NULL, metric VARCHAR NOT NULL, item VARCHAR NOT NULL,
  kind VARCHAR NOT NULL, PRIMARY KEY (job, candidate, metric, item));
CREATE TABLE checks (
  run VARCHAR NOT NULL, suite VARCHAR NOT NULL, case_id VARCHAR NOT NULL, position INTEGER NOT NULL,
  type VARCHAR NOT NULL, passed BOOLEAN NOT NULL, score DOUBLE NOT NULL, reason VARCHAR NOT NULL,
  PRIMARY KEY (run, suite, case_id, position));
CREATE TABLE baselines (
  name VARCHAR NOT NULL, job VARCHAR NOT NULL, candidate VARCHAR NOT NULL, blessed VARCHAR NOT NULL,
  note VARCHAR NOT NULL, PRIMARY KEY (name, blessed));
CREATE VIEW v_latest AS
  SELECT j.plan_name AS plan, v.candidate, v.decision, v.reason, CAST(j.started AS TIMESTAMP) AS started,
    CAST(j.finished AS TIMESTAMP) AS finished, j.exit_code, v.job, v.before_run, v.after_run
  FROM verdicts v JOIN jobs j ON j.id = v.job
  QUALIFY row_number() OVER (PARTITION BY j.plan_name, v.candidate ORDER BY j.started DESC) = 1;
CREATE VIEW v_findings AS
  SELECT j.plan_name AS plan, v.candidate, CAST(j.started AS TIMESTAMP) AS started, v.job, v.position,
    f->>'$.gate.metric' AS metric, f->>'$.gate.where.tag' AS tag, f->>'decision' AS decision,
    f->>'severity' AS severity, f->>'reason' AS reason, CAST(f->>'before' AS DOUBLE) AS before,
    CAST(f->>'after' AS DOUBLE) AS after, CAST(f->>'$.gate.margin' AS DOUBLE) AS margin,
    CAST(f->>'estimate' AS DOUBLE) AS estimate, CAST(f->>'low' AS DOUBLE) AS low,
    CAST(f->>'high' AS DOUBLE) AS high, CAST(f->>'n' AS INTEGER) AS n
  FROM (SELECT *, unnest(CAST(findings AS JSON[])) AS f,
    unnest(range(CAST(json_array_length(findings) AS BIGINT))) AS position FROM verdicts) v JOIN jobs j ON j.id = v.job;
CREATE VIEW v_flips AS
  WITH told AS (
    SELECT rs.run, s.name || '.pass_rate' AS metric, a.case_id, a.prompt, a.text
    FROM answers a JOIN stages s ON s.id = a.stage JOIN run_stages rs ON rs.stage = s.id)
  SELECT j.plan_name AS plan, f.candidate, CAST(j.started AS TIMESTAMP) AS started, f.job, f.metric, f.item, f.kind,
    old.prompt, old.text AS before, new.text AS after
  FROM flips f JOIN verdicts v USING (job, candidate) JOIN jobs j ON j.id = f.job
  LEFT JOIN told old ON old.run = v.before_run AND old.metric = f.metric AND old.case_id = f.item
  LEFT JOIN told new ON new.run = v.after_run AND new.metric = f.metric AND new.case_id = f.item;
CREATE VIEW v_trend AS
  SELECT j.plan_name AS plan, d.candidate, d.metric, CAST(j.started AS TIMESTAMP) AS started, d.before, d.after,
    d.drop, d.low, d.high, d.n, d.losses, d.gains, d.unit, d.higher_is_better, v.decision, d.job,
    v.after_run AS run, r.fingerprint
  FROM deltas d JOIN verdicts v USING (job, candidate) JOIN jobs j ON j.id = d.job
  LEFT JOIN runs r ON r.id = v.after_run;
CREATE VIEW v_tradeoff AS
  SELECT l.plan, l.candidate, l.decision, c.receipt->>'$.recipe.method' AS method,
    CAST(c.receipt->>'$.ratios.r_block' AS DOUBLE) AS sparsity, s.after / s.before AS size_ratio,
    g.after / g.before AS decode_ratio, d.metric, d.unit, d.before, d.after, d.drop, d.low, d.high, l.job
  FROM v_latest l JOIN deltas d USING (job, candidate) LEFT JOIN receipts c ON c.run = l.after_run
  LEFT JOIN deltas s ON s.job = l.job AND s.candidate = l.candidate AND s.metric = 'size.bytes'
  LEFT JOIN deltas g ON g.job = l.job AND g.candidate = l.candidate AND g.metric = 'speed.decode'
  WHERE split_part(d.metric, '.', 1) NOT IN ('size', 'speed', 'memory');
"""

M005 = """
ALTER TABLE answers ADD COLUMN tokens INTEGER[];
ALTER TABLE answers ADD COLUMN logprobs DOUBLE[];
"""

M006 = """
ALTER TABLE schedules ADD COLUMN permissions VARCHAR DEFAULT '{}';
"""

M007 = """
CREATE TABLE grades (
  run VARCHAR NOT NULL, suite VARCHAR NOT NULL, case_id VARCHAR NOT NULL, passed BOOLEAN NOT NULL,
  score DOUBLE NOT NULL, PRIMARY KEY (run, suite, case_id));
"""

M008 = """
ALTER TABLE items ADD COLUMN choices DOUBLE[];
"""

M009 = """
ALTER TABLE stages ADD COLUMN divergence JSON;
"""

M010 = """
CREATE OR REPLACE VIEW v_findings AS
  SELECT j.plan_name AS plan, v.candidate, CAST(j.started AS TIMESTAMP) AS started, v.job, v.position,
    f->>'$.gate.metric' AS metric, f->>'$.gate.where.tag' AS tag,
    coalesce(f->>'$.gate.against', 'original') AS against, f->>'decision' AS decision,
    f->>'severity' AS severity, f->>'reason' AS reason, CAST(f->>'before' AS DOUBLE) AS before,
    CAST(f->>'after' AS DOUBLE) AS after, CAST(f->>'$.gate.margin' AS DOUBLE) AS margin,
    CAST(f->>'estimate' AS DOUBLE) AS estimate, CAST(f->>'low' AS DOUBLE) AS low,
    CAST(f->>'high' AS DOUBLE) AS high, CAST(f->>'n' AS INTEGER) AS n
  FROM (SELECT *, unnest(CAST(findings AS JSON[])) AS f,
    unnest(range(CAST(json_array_length(findings) AS BIGINT))) AS position FROM verdicts) v JOIN jobs j ON j.id = v.job;
"""

M011 = """
CREATE TABLE trials (
  job VARCHAR NOT NULL, kind VARCHAR NOT NULL, variant VARCHAR NOT NULL, sparsity DOUBLE NOT NULL,
  parameters BIGINT NOT NULL, measured DOUBLE, divergence DOUBLE, divergence_low DOUBLE, divergence_high DOUBLE,
  predicted DOUBLE, predicted_low DOUBLE, predicted_high DOUBLE, decision VARCHAR NOT NULL, reason VARCHAR NOT NULL,
  findings JSON NOT NULL, verdict_job VARCHAR NOT NULL, seconds DOUBLE NOT NULL, created VARCHAR NOT NULL,
  PRIMARY KEY (job, kind, variant, sparsity));
CREATE VIEW v_predictions AS
  SELECT j.plan_name AS plan, t.variant, CAST(j.started AS TIMESTAMP) AS started, t.job,
    arg_min(t.predicted, t.created) AS predicted, arg_min(t.predicted_low, t.created) AS predicted_low,
    arg_min(t.predicted_high, t.created) AS predicted_high,
    max(t.sparsity) FILTER (WHERE t.decision = 'PASS') AS largest_passing,
    min(t.sparsity) FILTER (WHERE t.decision <> 'PASS') AS smallest_failing, count(*) AS trials
  FROM trials t JOIN jobs j ON j.id = t.job WHERE t.kind = 'gates' AND t.predicted IS NOT NULL
  GROUP BY j.plan_name, t.variant, j.started, t.job;
"""

M012 = """
CREATE TABLE advice (
  stage VARCHAR NOT NULL, question VARCHAR NOT NULL, kind VARCHAR NOT NULL, asked VARCHAR NOT NULL, reply VARCHAR,
  error VARCHAR NOT NULL, PRIMARY KEY (stage, question));
"""

M013 = """
ALTER TABLE answers ADD COLUMN repeat INTEGER DEFAULT 0;
ALTER TABLE grades ADD COLUMN tries INTEGER DEFAULT 1;
ALTER TABLE grades ADD COLUMN passes INTEGER;
CREATE OR REPLACE VIEW v_flips AS
  WITH told AS (
    SELECT rs.run, s.name || '.pass_rate' AS metric, a.case_id, a.prompt, a.text
    FROM answers a JOIN stages s ON s.id = a.stage JOIN run_stages rs ON rs.stage = s.id WHERE a.repeat = 0)
  SELECT j.plan_name AS plan, f.candidate, CAST(j.started AS TIMESTAMP) AS started, f.job, f.metric, f.item, f.kind,
    old.prompt, old.text AS before, new.text AS after
  FROM flips f JOIN verdicts v USING (job, candidate) JOIN jobs j ON j.id = f.job
  LEFT JOIN told old ON old.run = v.before_run AND old.metric = f.metric AND old.case_id = f.item
  LEFT JOIN told new ON new.run = v.after_run AND new.metric = f.metric AND new.case_id = f.item;
"""

M014 = """
CREATE TABLE answer_divergences (
  stage VARCHAR NOT NULL, case_id VARCHAR NOT NULL, repeat INTEGER NOT NULL, texts VARCHAR[] NOT NULL,
  kl DOUBLE[] NOT NULL, PRIMARY KEY (stage, case_id, repeat));
"""

STEPS: tuple[str, ...] = (M001, M002, M003, M004, M005, M006, M007, M008, M009, M010, M011, M012, M013, M014)
