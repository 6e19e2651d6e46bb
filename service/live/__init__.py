"""Live speech: turns, what is settled of them, and the sessions that read them."""
