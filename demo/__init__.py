"""Meltano and PostgreSQL against the sandbox: `make demo`, `make picture`, `make sandbox`."""
