"""KNOWLEDGE: one file for each kind of kernel object; new work goes here."""
