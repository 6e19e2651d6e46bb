"""Training of models of marks and capitals: `task: punctuation` in a config of `asr fit`."""
