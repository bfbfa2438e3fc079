"""Predictions per second over HTTP, beside the servers that people use instead."""
