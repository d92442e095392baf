"""FLOW: one file for each arrow of the pipeline."""
