"""CHILD: builds a model, or answers queries and scores them."""
