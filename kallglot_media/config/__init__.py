"""YAML files into checked settings; every mistake named with file and line, what is there and what to write."""
