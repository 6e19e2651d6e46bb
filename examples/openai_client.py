"""OpenAI's own client against a server of earshot, started by `asr serve`.

pip install openai
python examples/openai_client.py talk.flac http://127.0.0.1:8000
"""

import sys

from openai import OpenAI

path = sys.argv[1] if len(sys.argv) > 1 else "samples/1272-141231-0000.flac"
server = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000"
client = OpenAI(base_url=f"{server}/v1", api_key="none")  # or a key of `asr key NAME`

with open(path, "rb") as file:
    answer = client.audio.transcriptions.create(
        model="whisper-1",  # the server's default model; `client.models.list()` names all
        file=file,
        response_format="verbose_json",
        timestamp_granularities=["word"],
        prompt="Quilter, Eyjafjallajökull",  # names in a prompt become hot words
    )
print(answer.text)
for word in answer.words or []:
    print(f"{word.start:7.2f} {word.end:7.2f}  {word.word}")

with open(path, "rb") as file:
    print(client.audio.transcriptions.create(model="whisper-1", file=file, response_format="srt"))
