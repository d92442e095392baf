"""Live kernel structs of tasks, by BTF, read-only; allow-listed edges only."""
