"""One module a command: its options, what it prints and its exit code; torch comes when it runs."""
