"""Adaptation of trained weights: to minutes of speech, and by speech whose texts are guessed."""
