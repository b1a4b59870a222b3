"""The composition root: from a YAML file to a run."""
