"""Studies of recurrent memory: small models trained side by side, and what they remember."""
