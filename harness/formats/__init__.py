"""Model files of each format, checked before they are trusted, loaded, and counted."""
