"""Variants: recipes that change a model, and exporters that change its format."""
