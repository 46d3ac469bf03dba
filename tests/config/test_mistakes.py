"""Every kind of mistake: where it is, what is there, what to write instead. The mend is what helps: it is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.config import check_file
from tests.config.conftest import MODE, Mistakes, Write

Case = tuple[str, str, list[str]]


def read_cases(path: Path) -> list[Case]:
    """(file, what is written, ["where: wrong → mend"…]) for every block of mistakes.txt."""
    cases = []
    for section in path.read_text(encoding="utf-8").split("\n== ")[1:]:
        file, *blocks = section.strip("\n").split("\n\n")
        for block in blocks:
            lines = block.strip("\n").split("\n")
            written = "\n".join(line for line in lines if not line.startswith("> "))
            said = [line.removeprefix("> ") for line in lines if line.startswith("> ")]
            cases.append((file, written, [" → ".join(pair) for pair in zip(said[::2], said[1::2], strict=True)]))
    return cases


CASES = read_cases(Path(__file__).with_name("mistakes.txt"))


@pytest.mark.parametrize(
    ("file", "written", "said"), CASES, ids=[f"{file} {written[:40]}" for file, written, _ in CASES]
)
def test_what_is_said_about(file: str, written: str, said: list[str], mistakes: Mistakes) -> None:
    assert mistakes(**{file.split("/")[-1][0]: written}) == said


def test_tabs_are_named(mistakes: Mistakes) -> None:
    (found,) = mistakes(s="sip:\n\tring_s: 30")
    assert found.startswith("server.yaml:2: is not YAML: found character '\\t'")
    assert found.endswith("→ indent with spaces, not with tabs")


def test_control_characters_are_refused(mistakes: Mistakes) -> None:
    (found,) = mistakes(s="data_dir: \x07")
    assert found.endswith("→ save the file as UTF-8 text without control characters")


def test_a_bottomless_file_is_refused(mistakes: Mistakes) -> None:
    for text in ("[" * 5000, "a: &a [x, x]\n" + "\n".join(f"b{n}: &b{n} [*a, *a]" for n in range(3)) + LAUGHS):
        assert any("nested too deep or too large" in line for line in mistakes(s=text))


LAUGHS = "\nc0: &c0 [1, 1, 1, 1]" + "".join(f"\nc{n}: &c{n} [*c{n - 1}, *c{n - 1}, *c{n - 1}]" for n in range(1, 12))


def test_all_mistakes_of_all_files_come_at_once_in_their_order(mistakes: Mistakes) -> None:
    found = mistakes(
        s="log: {level: loud}\nsip: {max_calls: x, ring_s: y}",
        r="routes:\n- {called: '*', service: echo}\n- {called: a, mode: modes/m.yaml, colour: red}",
        m="-source_language: de\nsource_language: en\ngains: {attack_ms: slow}",
    )
    assert [line.split(": ")[0] for line in found] == [
        "server.yaml:1 log.level",
        "server.yaml:2 sip.max_calls",
        "server.yaml:2 sip.ring_s",
        "routes.yaml:3 routes[1].called",
        "routes.yaml:3 routes[1].colour",
        "modes/m.yaml:3 gains.attack_ms",
        "modes/m.yaml:4 target_language",
    ]


def test_a_hashed_password_must_be_whole_and_for_our_realm(mistakes: Mistakes, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = "sip: {realm: here, accounts: [{user: pbx, password_env: KALLGLOT_TEST_PASSWORD}]}"
    for stored, wrong, mend in (
        ("$ha1$here$MD5=" + 32 * "0", None, None),
        ("$ha1$there$MD5=" + 32 * "0", "a hash for realm 'there', sip.realm is 'here'", "hash it again for this realm"),
        ("$ha1$here$MD5=0", "a broken hash: the MD5 hash is not 32 lower-case hexadecimal digits", "make it anew"),
    ):
        monkeypatch.setenv("KALLGLOT_TEST_PASSWORD", stored)
        found = mistakes(s=settings)
        if wrong is None:
            assert found == []
        else:
            place = "server.yaml:1 sip.accounts[0].password_env: leads to"
            assert found == [f"{place} {wrong} → {mend}: kallglot-media users hash pbx"]


def test_a_smaller_recogniser_has_to_be_named(mistakes: Mistakes) -> None:
    assert mistakes(s="speech:\n  when_busy: smaller") == [
        "server.yaml:2 speech.when_busy: is smaller, and there is no smaller recogniser"
        " → write recognizer.smaller, e.g. smaller: tiny"
    ]
    assert mistakes(s="speech:\n  when_busy: smaller\n  recognizer: {smaller: tiny}") == []


def test_the_password_is_in_no_message(mistakes: Mistakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLGLOT_TEST_PASSWORD", "hunter2")
    found = mistakes(s="sip:\n  max_calls: x\n  accounts: [{user: pbx, password_env: KALLGLOT_TEST_PASSWORD}]")
    assert found
    assert "hunter2" not in " ".join(found)


def test_the_right_files_have_no_mistakes(mistakes: Mistakes) -> None:
    assert mistakes() == []
    assert "bidirectional_translation" in MODE


def test_a_byte_that_is_no_text_is_found_on_its_line(write: Write) -> None:
    path = write()
    path.write_bytes("data_dir: ä\nlog:\n  level: ".encode() + b"\xff\n")
    (said,) = check_file(path)
    assert (said.where, said.wrong) == ("server.yaml:3", "is not YAML: invalid start byte")


def test_a_control_character_is_found_on_its_line(write: Write) -> None:
    path = write(s="# " + "ä" * 40 + "\nlog:\n  level: \x07\n")
    (said,) = check_file(path)
    assert said.where == "server.yaml:3"


@pytest.mark.parametrize(
    ("file", "setting", "written"),
    [
        ("s", "server.yaml:1 routes", "routes: {}"),
        ("r", "routes.yaml:2 routes[0].mode", "routes:\n  - {{called: a, mode: {}}}"),
        ("m", "modes/m.yaml:5 base", "base: {}"),
        ("m", "modes/m.yaml:6 hold.music", "hold:\n  music: {}"),
    ],
)
def test_a_name_longer_than_any_file_has_is_a_mistake_like_others(
    file: str, setting: str, written: str, mistakes: Mistakes
) -> None:
    for name in ("n" * 300 + ".yaml", "n/" * 3000 + "n.yaml"):
        said = [line for line in mistakes(**{file: written.format(name)}) if line.startswith(f"{setting}: ")]
        assert len(said) == 1, written[:80]
        assert len(said[0]) < 600, "a value of thousands of characters buries what to do"
