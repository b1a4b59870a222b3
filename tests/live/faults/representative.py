"""The scenarios that every test run plays: one of each kind of fault."""

from typing import Final


REPRESENTATIVE: Final[tuple[tuple[str, int], ...]] = (
    ("drop_before_place", 1),
    ("drop_after_modify", 1),
    ("lost_ack_cancel", 1),
    ("drop_before_first_update", 2),
    ("drop_while_filling", 1),
    ("duplicated_frames", 1),
    ("late_frames", 1),
    ("lost_fills", 1),
    ("fills_while_disconnected", 1),
    ("too_many_requests", 5),
    ("server_unavailable", 1),
    ("empty_answers", 1),
    ("nonce_collisions", 1),
    ("actions_expired", 1),
    ("account_mode_switched", 1),
    ("foreign_fills", 1),
    ("fills_race_commands", 1),
    ("node_meta_drift", 1),
    ("node_storm", 1),
    ("killed", 1),
)
