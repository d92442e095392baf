"""TAGS: what is known or discovered to be safe, partial, unsafe or untested, and how that applies to a kernel or a process."""
