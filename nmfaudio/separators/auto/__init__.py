"""Choice of a separator from what the recording holds."""
