"""Random dialogues with the daemon from both sides, by seed; what must hold is counted at both ends."""
