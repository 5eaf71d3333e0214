"""Obey a Shape or a mask, and make up for what went."""
