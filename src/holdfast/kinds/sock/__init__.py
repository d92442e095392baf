"""Sockets: one file for each family and protocol that is carried, and one that refuses all others by name."""
