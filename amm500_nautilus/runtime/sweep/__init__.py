"""Trials of a run file, on one machine or many: handed out, resumed, judged."""
