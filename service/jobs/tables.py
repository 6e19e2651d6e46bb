"""The tables of the store of jobs, for both databases."""

FORMAT = 2
"""Goes up when they change."""
TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    number {serial},
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,      -- name of the API key that posted it; empty without keys
    repeats TEXT,           -- the client's Idempotency-Key
    digest TEXT NOT NULL,   -- of the recording and the fields
    name TEXT NOT NULL,     -- of the recording
    bytes BIGINT NOT NULL,  -- of the recording
    fields TEXT NOT NULL,   -- of the form, in JSON
    options TEXT NOT NULL,  -- of the decoder, in JSON
    state TEXT NOT NULL,    -- waiting, running, done or failed
    holder TEXT,            -- replica that runs it
    lease DOUBLE PRECISION, -- until when it has it, unless it gives a sign of life
    starts INTEGER NOT NULL DEFAULT 0,
    created DOUBLE PRECISION NOT NULL,
    started DOUBLE PRECISION,
    ended DOUBLE PRECISION,
    seconds DOUBLE PRECISION NOT NULL, -- of audio: an estimate until it is decoded
    heard DOUBLE PRECISION NOT NULL DEFAULT 0, -- of them, where other replicas can ask for it
    error TEXT,             -- status, and error in OpenAI's shape, in JSON
    callback TEXT,          -- address that is called at the end
    calls INTEGER NOT NULL DEFAULT 0,
    call_at DOUBLE PRECISION, -- when it is called next
    result TEXT,            -- transcripts, in JSON
    UNIQUE (key, repeats)
);
CREATE TABLE IF NOT EXISTS segments (
    job TEXT NOT NULL,      -- that runs, where other replicas can ask for it
    number INTEGER NOT NULL,
    segment TEXT NOT NULL,  -- in JSON
    PRIMARY KEY (job, number)
);
CREATE TABLE IF NOT EXISTS turns (
    key TEXT PRIMARY KEY,
    start DOUBLE PRECISION NOT NULL,
    stop DOUBLE PRECISION NOT NULL
);
CREATE TABLE IF NOT EXISTS usage (
    key TEXT NOT NULL,
    day INTEGER NOT NULL,   -- since 1970
    replica TEXT NOT NULL,  -- whose requests they were; empty for jobs
    recordings BIGINT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (key, day, replica)
);
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, number);
CREATE INDEX IF NOT EXISTS by_call ON jobs (call_at) WHERE call_at IS NOT NULL;
"""
