"""The numbers and layouts that user space and kernel agreed on, one file per sort; none of it changes with a kernel version."""
