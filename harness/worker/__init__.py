"""CHILD: builds a model, or answers queries and scores them. It never imports the parent, nor a sensor."""
