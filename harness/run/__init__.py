"""PARENT: what is run next, on what, for how long, and what becomes of it. It never imports the child."""
