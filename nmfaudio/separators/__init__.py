"""Ways of separating, one file each, and the contract they keep."""
