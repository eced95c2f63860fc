"""One HTML page of a finished run: see, hear and regroup its stems and components, without a network."""
