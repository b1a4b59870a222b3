"""What stands around a running strategy: journal, commands, alerts and figures; it knows neither the engine nor the venue."""
