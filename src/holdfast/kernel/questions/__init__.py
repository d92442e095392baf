"""What kernel.probe asks, one file per part of the kernel; each question is a function that gives an Answer."""
