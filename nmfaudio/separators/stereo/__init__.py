"""Separation by the positions of sources between the loudspeakers."""
