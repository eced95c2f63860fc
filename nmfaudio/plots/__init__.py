"""Pictures of components, templates and ranks."""
