"""FACTS: what a kernel says about itself; parsers take bytes and return values."""
