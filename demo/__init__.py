"""A demo against the sandbox: `make demo` and `make picture`."""
