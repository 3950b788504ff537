"""What `doctor` checks: one module for each kind of trap; pure."""
