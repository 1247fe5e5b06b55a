"""One module for each command: options in, result out, events during the work."""
