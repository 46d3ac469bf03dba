"""server.yaml's sections as the parts of the server want them."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable

from kallglot_media.call.direction import Deadlines
from kallglot_media.call.leg import MediaHome
from kallglot_media.call.leg_state import Terms
from kallglot_media.call.phones import Phones
from kallglot_media.call.trunks import Trunks
from kallglot_media.config.listen import Listen as ListenSettings
from kallglot_media.config.load import Config
from kallglot_media.config.sip import Sip
from kallglot_media.errors import SetupError
from kallglot_media.log import logger
from kallglot_media.media.sealed import KEY_VARIABLE, SealError, keys_here
from kallglot_media.media.settings import MediaSettings
from kallglot_media.net.shell import Listen
from kallglot_media.net.tls import TlsFiles
from kallglot_media.rtp.jitter import JitterRules
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import Accept, AgentSettings, Challenge, Decision, Ignore, Reject

log = logger("server")

MOST_STRANGERS_NAMED = 200
"""Hosts that are turned away are named once each, and so many at most: the internet is full of scanners."""

ANNOUNCEMENT_S = 60.0
"""How long early media may go on after an agent's phone stopped ringing."""

SPARE_CALLS = 16
"""Calls that the SIP agent takes beyond sip.max_calls, so that it is we who say 503 and why."""


def agent_settings(config: Config, trunks: Trunks, phones: Phones | None) -> AgentSettings:
    """The SIP agent's settings out of server.yaml."""
    sip = config.server.sip
    return AgentSettings(
        user_agent=sip.user_agent,
        max_calls=2 * sip.max_calls + SPARE_CALLS,
        longest_ring_s=max([sip.ring_s, *(config.longest_ring_s(mode) for mode in config.modes.values())])
        + ANNOUNCEMENT_S,
        accept=admission(sip, trunks),
        guard=sip.guard.rules(),
        trusted=trusted(sip, trunks),
        answerers={"REGISTER": phones.registrar.receive} if phones is not None else {},
    )


def listen_at(listen: ListenSettings, public_host: str) -> Listen:
    """One listener of server.yaml, as the shell wants it."""
    tls: TlsFiles | None = None
    if listen.certificate is not None and listen.key is not None:
        by_name = {one.name: (one.certificate, one.key) for one in listen.more_certificates}
        tls = TlsFiles(
            listen.certificate, listen.key, by_name, listen.client_ca, listen.server_ca, verify=listen.verify
        )
    return Listen(listen.transport, listen.host, listen.port, public_host, tls, listen.origins)


def trusted(sip: Sip, trunks: Trunks) -> Callable[[str], bool]:
    """Whose address the operator wrote down: trunks and the networks of sip.allow_from. They are never banned."""

    def is_trusted(host: str) -> bool:
        address = ipaddress.ip_address(host)
        return any(address in network for network in sip.allow_from) or trunks.of_source(host) is not None

    return is_trusted


def admission(sip: Sip, trunks: Trunks) -> Callable[[Request, Peer], Decision]:
    """Who may send us requests: trunks and the networks of sip.allow_from freely, others with a password.

    A REGISTER passes: the registrar asks for the password itself.
    """
    passwords = {account.user: account.password() for account in sip.accounts}
    stranger = Ignore() if sip.strangers == "ignore" else Reject(403)
    turned_away: set[str] = set()

    def accept(request: Request, source: Peer) -> Decision:
        if request.method == "REGISTER" and sip.registrar.enabled:
            return Accept()
        if trunks.of_source(source.host) is not None:
            full = request.method == "INVITE" and trunks.objection(source.host)
            return Reject(503, f"Service Unavailable ({full})") if full else Accept()
        address = ipaddress.ip_address(source.host)
        if any(address in network for network in sip.allow_from):
            return Accept()
        if passwords:
            return Challenge(sip.realm, passwords.get, sip.digest_algorithms)
        if source.host not in turned_away and len(turned_away) < MOST_STRANGERS_NAMED:
            turned_away.add(source.host)
            mend = "if it is one of yours, write its network into sip.allow_from, or give it an account"
            log.warning("turned away", sign="x", source=source.host, why="not in sip.allow_from, no trunk", mend=mend)
        return stranger

    return accept


def media_settings(config: Config) -> MediaSettings:
    """The media plane's settings out of server.yaml."""
    media = config.server.media
    return MediaSettings(
        first_port=media.ports[0],
        last_port=media.ports[1],
        jitter=JitterRules(media.jitter.min_ms, media.jitter.target_ms, media.jitter.max_ms),
        rtp_timeout_s=media.rtp_timeout_s,
        allow_latch=media.allow_latch,
        own_voice_guard=media.own_voice_guard,
        suppress_silence=media.suppress_silence,
        comfort_noise_dbov=media.comfort_noise_dbov,
        recorder_sync_s=config.server.recording.sync_s,
        seal_recordings=config.server.recording.encrypt,
    )


def take_recording_key(config: Config) -> None:
    """The key for recordings into the environment, where media processes find it. Raises SetupError."""
    recording = config.server.recording
    make_one = "make a key with `openssl rand -hex 32`, and keep it: without it nobody reads the recordings"
    if recording.key_file is not None:
        try:
            os.environ[KEY_VARIABLE] = recording.key_file.read_text("ascii").strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "is no text"
            raise SetupError(f"recording.key_file {recording.key_file}", why.lower(), make_one) from None
    try:
        keys = keys_here()
    except SealError as error:
        raise SetupError(f"{KEY_VARIABLE}", str(error), make_one) from None
    if recording.encrypt and not keys:
        raise SetupError("recording.encrypt", f"is true, and {KEY_VARIABLE} is not set", make_one)


def media_home(config: Config, terms: Terms) -> MediaHome:
    """Where legs have their RTP, and how it is coded."""
    server = config.server
    media = server.media
    noise = media.suppress_silence and media.comfort_noise_dbov is not None
    return MediaHome(server.media_host, server.media_advertised_host, media.codecs, media.srtp, terms, noise)


def deadlines(config: Config) -> Deadlines:
    """How long engines have for an utterance."""
    speech = config.server.speech
    return Deadlines(speech.recognizer.deadline_s, speech.translator.deadline_s, speech.synthesizer.deadline_s)
