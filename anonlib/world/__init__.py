"""Drawn people, clips and scenes: data that needs no download and shows nobody who exists."""
