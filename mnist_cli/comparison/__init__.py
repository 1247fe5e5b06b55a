"""Runs of several networks: the journal, statistics, verdicts, baselines and gates."""
