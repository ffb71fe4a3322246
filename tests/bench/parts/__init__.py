"""The parts of the bench: each has run(setting), which answers rows and grids (figures.py)."""
