"""The command line: a module a command, from its options to what it prints and its exit code."""
