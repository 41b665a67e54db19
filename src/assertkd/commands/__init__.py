"""Subcommands of `assertkd`. Each imports what it runs when it is run, so that the command starts at once."""
