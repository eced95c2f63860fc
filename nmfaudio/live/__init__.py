"""A dictionary as a plugin for audio hosts: a kernel in C, interfaces of hosts, and what writes bundles."""
