"""One module a command: options in, result out, events on the way."""
