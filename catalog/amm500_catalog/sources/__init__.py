"""Where bars and funding rates come from: the exchange, Yahoo, files, recordings, the offline generator."""
