"""Memory areas."""
