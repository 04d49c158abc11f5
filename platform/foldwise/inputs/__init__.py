"""What users write: checks of values, objects imported by name, YAML files."""
