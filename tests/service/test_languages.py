"""Another language from recordings to the service's answer, with speech by espeak-ng."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import Asr
from serving import running

from asr.bundle import Bundle
from service.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]

CONFIG = Path(__file__).parents[2] / "configs" / "smoke.yaml"
SMALL = [
    "--model.network.hidden=64", "--trainer.max_epochs=15", "--trainer.check_val_every_n_epoch=15",
    "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false",
]  # fmt: skip


def german(folder: Path, texts: list[str]) -> list[object]:
    """What imports a table with semicolons that is not in UTF-8."""
    rows = ["Nummer;path;text", *(f"{at};{at}.wav;{text}" for at, text in enumerate(texts))]
    (folder / "texte.csv").write_bytes("\n".join(rows).encode("cp1252"))
    return ["folder", folder, "--encoding", "cp1252"]


def greek(folder: Path, texts: list[str]) -> list[object]:
    """What imports a data folder of Kaldi."""
    for name, values in {"text": texts, "wav.scp": [f"{at}.wav" for at in range(4)]}.items():
        lines = [f"utt{at} {value}\n" for at, value in enumerate(values)]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    return ["kaldi", folder]


# Code -> its name, what is written in the corpus, a letter of its own, and the corpus.
LANGUAGES = {
    "de": (
        "German", ["Grüße aus Gießen.", "Süß ist die Straße", "»Ja!«", "Nein, danke…"], "ß", german,
    ),
    "el": ("Greek", ["Καλημέρα, ΣΑΣ!", "Ο Σίσυφος ανέβηκε.", "Ναι·", "ΌΧΙ"], "ς", greek),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_from_its_recordings_to_the_service(language: str, tmp_path: Path) -> None:
    name, texts, letter, corpus = LANGUAGES[language]
    asr, manifest, recordings = Asr(), tmp_path / "train.jsonl", tmp_path / "recordings"
    recordings.mkdir()
    for number, text in enumerate(texts):
        clip = recordings / f"{number}.wav"
        subprocess.run(["espeak-ng", "-v", language, "-w", clip, text], check=True)
    importer, folder, *options = corpus(recordings, texts)
    asr("data", importer, folder, manifest, "--language", language, *options)
    data = ["--data.root", tmp_path, "--data.train=train.jsonl", "--data.dev=train.jsonl"]
    data += ["--data.language", language, "--data.units.alphabet=from_texts"]
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    data += ["--trainer.default_root_dir", run]
    asr("fit", "--config", CONFIG, *SMALL, *data)
    asr("export", run / "checkpoints" / "last.ckpt", bundle, "--precision", "fp32")

    opened = Bundle.open(bundle)
    assert (opened.info.language, opened.info.normaliser) == (language, "plain")
    assert not opened.tokenizer.unknown(letter) and opened.tokenizer.unknown("q")
    assert f"It reads {name}" in (bundle / "README.md").read_text(encoding="utf-8")
    out, _ = asr("evaluate", "--bundle", bundle, manifest, "--json", tmp_path / "scored.json")
    assert "WER" in out
    scored = json.loads((tmp_path / "scored.json").read_text(encoding="utf-8"))
    assert scored["clips"][0]["reference"] == opened.normalise(texts[0])
    _, err = asr("evaluate", "--bundle", bundle, manifest, "--normaliser", "english", code=2)
    assert "english is none for the language" in err

    sound = (recordings / "0.wav").read_bytes()
    with running(Settings(bundle=bundle, device="cpu", decode_workers=1)) as (_, http):
        url, files = "/v1/audio/transcriptions", {"file": ("clip.wav", sound)}
        form = {"response_format": "verbose_json", "language": name.lower()}
        answer = http.post(url, files=files, data=form).json()
        assert answer["language"] == language
        said, _ = asr("transcribe", "--bundle", bundle, recordings / "0.wav")
        assert answer["text"] == said.strip()
        refused = http.post(url, files=files, data={"language": "en"})
        assert refused.status_code == 422 and refused.json()["error"]["param"] == "language"
        assert f"reads {name} ('{language}') and no other" in refused.json()["error"]["message"]
