"""Studies of separation: scores, forecasts and numbers of components."""
