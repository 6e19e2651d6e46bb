"""Settings: from arguments, else variables, else defaults; anything unknown is refused."""

from pathlib import Path

import pytest

from asr.errors import BadOption
from service.settings import Settings


def test_arguments_win_over_variables_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_PORT", "9000")
    monkeypatch.setenv("EARSHOT_BUNDLE", "some/bundle")
    monkeypatch.setenv("EARSHOT_DEVICE", "")  # as compose sends what is not set
    settings = Settings.read(bundle=Path("other"))
    assert (settings.port, settings.bundle) == (9000, Path("other"))
    assert (settings.host, settings.device) == ("127.0.0.1", "auto")
    assert settings.max_upload_bytes == 26_214_400


def test_an_unknown_variable_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_PROT", "9000")
    with pytest.raises(BadOption, match=r"EARSHOT_PROT is not known; did you mean EARSHOT_PORT\?"):
        Settings.read()


def test_the_corpus_folder_is_no_setting_and_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_DATA", "corpus")
    Settings.read()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", "abc", "valid integer"),
        ("port", "70000", "65535"),
        ("device", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("max_seconds", "inf", "finite"),
        ("max_upload_bytes", "0", "greater than 0"),
    ],
)
def test_a_bad_value_is_one_sentence_with_both_names(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"EARSHOT_{name.upper()}", value)
    with pytest.raises(BadOption) as caught:
        Settings.read()
    sentence = str(caught.value)
    assert f"{name} (EARSHOT_{name.upper()})" in sentence and said in sentence
    assert repr(value) in sentence and "\n" not in sentence


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(BadOption, match="prot"):
        Settings.read(prot=1)
