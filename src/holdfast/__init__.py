"""Holdfast: checkpoint/restart for Linux processes that keeps holding while the kernel moves."""
