"""The recogniser over HTTP: OpenAI's transcription endpoint, health and models.

This package knows nothing of tensors. It receives uploads, passes them to a `Recognizer`, and
returns transcripts and errors in the form that OpenAI's clients expect.
"""
