"""Market data: sources, simulator, the Parquet catalogue."""
