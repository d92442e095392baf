"""REPORT: findings and results to paper; computes nothing but counts."""
