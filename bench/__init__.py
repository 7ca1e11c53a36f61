"""Benchmarks: they measure what things cost, and pass no verdict."""
