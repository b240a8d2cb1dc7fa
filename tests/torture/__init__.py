"""Real node processes under load and under attack, and the proof that no promise broke."""
