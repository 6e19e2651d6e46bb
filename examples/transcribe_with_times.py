"""Words with their times and confidence.

python examples/transcribe_with_times.py talk.flac interview.mp3
"""

import sys

import asr

recognizer = asr.load()  # or asr.load("my_bundle", device="cuda")
for path in sys.argv[1:] or ["samples/1272-141231-0000.flac"]:
    transcript = recognizer.transcribe(path)
    print(f"{path}: {transcript.text}")
    for word in transcript.words:
        unsure = "  (listen again)" if word.confidence < 0.5 else ""
        print(f"{word.start:7.2f} {word.end:7.2f}  {word.confidence:4.0%}  {word.text}{unsure}")
