"""DRIFT: two kernels compared, and every difference joined with the ledger's decisions."""
