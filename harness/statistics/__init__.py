"""Paired statistics on plain numbers: numpy and scipy only, no models, no files."""
