"""Files that the workflow writes: tables, weights, and files replaced as a whole."""
