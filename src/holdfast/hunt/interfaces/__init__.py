"""INTERFACES: one file per family of kernel interfaces; each turns the constants of the UAPI headers into recipes."""
