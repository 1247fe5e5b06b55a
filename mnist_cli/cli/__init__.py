"""The command line: each command has a module with its options, output and exit code."""
