"""Child process: builds a model, or answers queries and scores the outputs."""
