"""Simulations that decide what no data set is large enough for."""
