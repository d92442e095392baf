"""COMMANDS: the only room that wires the others together; one file per command."""
