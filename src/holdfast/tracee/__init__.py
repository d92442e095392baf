"""HANDS: ptrace; the only room that touches a live process."""
