"""Recipes -> candidates, each made once; what there is to choose from."""
