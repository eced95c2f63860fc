"""Studies of separation: scores against references, forecasts, and numbers of components."""
