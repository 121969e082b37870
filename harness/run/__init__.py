"""Parent process: decides what runs next, runs it and stores its record."""
