"""Choice of a separator from the properties of the recording."""
