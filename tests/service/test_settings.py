"""Settings: from arguments, else variables, else defaults; anything unknown is refused."""

import shutil
from pathlib import Path

import pytest

from asr.cli import main
from asr.errors import BadOption, ended
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
    with pytest.raises(BadOption) as told:
        Settings.read()
    assert "EARSHOT_PROT is not known; did you mean EARSHOT_PORT?" in str(told.value)
    assert ended(str(told.value)).endswith("EARSHOT_PORT?")


def test_the_corpus_folder_is_no_setting_and_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_DATA", "corpus")
    monkeypatch.setenv("EARSHOT_CACHE_DIR", "cache")
    Settings.read()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", "abc", "valid integer"),
        ("port", "70000", "65535"),
        ("device", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("max_seconds", "inf", "finite"),
        ("max_upload_bytes", "0", "greater than 0"),
        ("hang_s", "0", "greater than 0"),
        ("trace_endpoint", "collector:4318", "should be an address"),
        ("trace_endpoint", "http://[::1:4318", "should be an address"),
        ("cors_origins", "https://one.example/", "should be an origin"),
        ("cors_origins", "*,one.example", "'one.example' should be an origin"),
        (
            "callback_hosts",
            "a.example, https://b.example/",
            "'https://b.example/' should be a host",
        ),
        ("callback_hosts", "*.example", "should be a host"),
        ("callback_hosts", "10.1.0.0/8", "should be a host"),
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


@pytest.mark.parametrize(
    "value", ["*", "", "https://a.example, http://127.0.0.1:3000,http://[::1]:9"]
)
def test_origins_as_browsers_write_them_are_taken(value: str) -> None:
    assert Settings.read(cors_origins=value).cors_origins == value


@pytest.mark.parametrize("value", ["", "hooks.example, LOCALHOST,my_host", "10.0.0.0/8,::1,[::1]"])
def test_hosts_that_may_be_called_are_taken(value: str) -> None:
    assert Settings.read(callback_hosts=value, callback_secret="x" * 24).callback_hosts == value


def test_where_recordings_of_jobs_go_needs_jobs() -> None:
    with pytest.raises(BadOption, match="EARSHOT_JOBS_UPLOADS needs EARSHOT_JOBS_FOLDER"):
        Settings.read(jobs_uploads="s3://bucket/folder")


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"API_KEYS": "ann:short"}, "EARSHOT_API_KEYS, entry 1, is not NAME:SHA256"),
        ({"API_KEYS": f"ann:{DIGEST}", "ADMIN_KEYS": "bob"}, "EARSHOT_ADMIN_KEYS, entry 1,"),
        (
            {"API_KEYS_FILE": "{here}/none"},
            "the file of API keys {here}/none cannot be read (No such f",
        ),
        ({"API_KEYS_FILE": "{here}/keys"}, "{here}/keys, entry 2, is not NAME:SHA256"),
        ({"BUNDLE": "{here}/none"}, "{here}/none"),
        ({"BUNDLE": "{here}/damaged"}, "model.onnx"),
        ({"MODELS_FOLDER": "{here}/none"}, "EARSHOT_MODELS_FOLDER {here}/none is not a folder"),
        ({"MODELS_FOLDER": "{here}"}, "damaged: model.onnx"),
        ({"MODELS_FOLDER": "{here}/twins"}, "another bundle with the first model's name, tiny"),
        ({"MODEL_ALIASES": "fast=other"}, "'fast' stands for 'other', which is not served"),
        ({"HOST": "no host"}, "Cannot listen on no host"),
        ({"HOST": "192.0.2.1"}, "Cannot listen on 192.0.2.1"),
        ({"TRACE_ENDPOINT": "localhost"}, "EARSHOT_TRACE_ENDPOINT"),
    ],
)
def test_settings_are_tried_before_they_are_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damaged: Path,
    tiny_bundle: Path,
    variables: dict[str, str],
    said: str,
) -> None:
    monkeypatch.setenv("EARSHOT_BUNDLE", str(tiny_bundle))
    for name, value in variables.items():
        monkeypatch.setenv(f"EARSHOT_{name}", value.format(here=damaged))
    code, out, err = printed(monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert said.format(here=damaged) in err
    assert err.startswith("asr: ") and err.count("\n") == 1


def test_settings_that_fit_are_printed_with_exit_code_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny_bundle: Path
) -> None:
    monkeypatch.setenv("EARSHOT_BUNDLE", str(tiny_bundle))
    monkeypatch.setenv("EARSHOT_API_KEYS", f"ann:{DIGEST}")
    code, out, err = printed(monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert f"EARSHOT_BUNDLE={tiny_bundle}" in out and DIGEST not in out


@pytest.fixture
def damaged(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A folder of things that cannot be served."""
    (tmp_path / "keys").write_text(f"bob:{DIGEST}\nann {DIGEST[1:]}\n", encoding="utf-8")
    shutil.copytree(tiny_bundle, tmp_path / "damaged")
    (tmp_path / "damaged" / "model.onnx").write_bytes(b"damaged")
    shutil.copytree(tiny_bundle, tmp_path / "twins" / "tiny")
    return tmp_path


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Exit code, output and errors of `asr serve --print-config`."""
    monkeypatch.setattr("sys.argv", ["asr", "serve", "--print-config"])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err
