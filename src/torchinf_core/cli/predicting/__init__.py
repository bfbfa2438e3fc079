"""Commands that load models and use them: run, predict, explain, optimize, bench."""
