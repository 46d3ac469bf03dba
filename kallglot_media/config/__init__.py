"""Configuration: YAML files → checked, frozen models, or every mistake with its line and its mend."""

from __future__ import annotations

from kallglot_media.config.account import Account
from kallglot_media.config.announcements import Announcements
from kallglot_media.config.errors import ConfigError, ConfigErrors
from kallglot_media.config.listen import Listen
from kallglot_media.config.load import Config, check_file, load_config
from kallglot_media.config.mode import Agent, Gains, Mode, ModeRecording, Segment
from kallglot_media.config.routes import Route, Routes
from kallglot_media.config.server import (
    Jitter,
    Limits,
    Log,
    Media,
    Recognizer,
    Recording,
    Server,
    Speech,
    Synthesizer,
    Translator,
)
from kallglot_media.config.sip import Sip
from kallglot_media.config.store import ModelEndpoint, Retention, Store, Webhooks

__all__ = [
    "Account",
    "Agent",
    "Announcements",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "Gains",
    "Jitter",
    "Limits",
    "Listen",
    "Log",
    "Media",
    "Mode",
    "ModeRecording",
    "ModelEndpoint",
    "Recognizer",
    "Recording",
    "Retention",
    "Route",
    "Routes",
    "Segment",
    "Server",
    "Sip",
    "Speech",
    "Store",
    "Synthesizer",
    "Translator",
    "Webhooks",
    "check_file",
    "load_config",
]
