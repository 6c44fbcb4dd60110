"""An implementation of the counting rules that shares nothing with the models, and random worlds to try both on."""
