"""Files that people bring: delimited text, archives, downloads."""
