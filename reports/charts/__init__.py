"""Where things stand in the charts: numbers in, coordinates out. The templates draw them as inline SVG.

One file a chart. Coordinates are in SVG user units, x to the right and y downwards.
"""
