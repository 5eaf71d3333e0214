"""Scores and a target become a Shape."""
