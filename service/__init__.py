"""The recogniser over HTTP: OpenAI's transcription endpoint, health and models.

This room knows nothing of tensors: it takes uploads in, hands them to a `Recognizer`, and shapes
transcripts and errors the way OpenAI's clients expect them.
"""
