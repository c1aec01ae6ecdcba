"""The cost of the tap compared with the minimum for any tap: `make bench`."""
