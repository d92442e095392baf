"""ENGINES: one file per engine under test."""
