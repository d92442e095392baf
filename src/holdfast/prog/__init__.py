"""PROGRAMS: small syscall programs, one form for dump probes, restore steps and hunt recipes."""
