"""The same layer by layer from disk, for models that do not fit."""
