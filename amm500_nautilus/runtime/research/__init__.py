"""What is asked of finished runs and of run files: Monte Carlo, stress, proxies, what the action limit affords."""
