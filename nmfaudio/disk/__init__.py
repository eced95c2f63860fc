"""Files that appear complete or not at all, large temporary arrays, and signals that are deferred."""
