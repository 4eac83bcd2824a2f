"""Files to arrays and values, and back. No torch, no Qt."""
