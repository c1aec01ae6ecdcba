"""The example records of the vendors' documents, unchanged."""
