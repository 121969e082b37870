"""CHILD: builds a model, or answers queries and scores them. It imports neither the parent nor a sensor."""
