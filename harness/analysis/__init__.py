"""Arrays in, numbers out: no file, no clock, no plug-in."""
