"""Synthetic people and actions, and loaders of real faces."""
