"""What media is told of what offer and answer came to."""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.media.messages import DtlsPeer, SetRemote, SetText, SrtpKeys
from kallglot_media.sdp.types import Agreed, AgreedText


def set_remote(leg_id: str, agreed: Agreed) -> SetRemote:
    """The message for the sound."""
    keys, dtls = agreed.keys, agreed.dtls
    return SetRemote(
        leg_id=leg_id,
        host=agreed.remote_host,
        port=agreed.remote_port,
        codec=agreed.codec,
        send_payload_type=agreed.send_payload_type,
        receive_payload_type=agreed.receive_payload_type,
        dtmf_send_payload_type=agreed.dtmf_send_payload_type,
        dtmf_receive_payload_type=agreed.dtmf_receive_payload_type,
        ptime_ms=agreed.ptime_ms,
        send=agreed.send,
        receive=agreed.receive,
        dtmf_clock_hz=agreed.dtmf_clock_hz,
        keys=SrtpKeys(keys.suite, keys.send_key, keys.receive_key) if keys else None,
        dtls=DtlsPeer(dtls.hash_name, dtls.fingerprint, dtls.we_begin) if dtls else None,
        rtcp_mux=agreed.rtcp_mux,
        rtcp_port=agreed.rtcp_port,
        comfort_noise=agreed.comfort_noise,
    )


def set_text(leg_id: str, text: AgreedText | None) -> SetText:
    """The message for what was agreed; None: that there is no text line."""
    if text is None:
        return SetText(leg_id)
    keys = text.keys
    return SetText(
        leg_id=leg_id,
        host=text.remote_host,
        port=text.remote_port,
        send_text_payload_type=text.send_text_payload_type,
        send_red_payload_type=text.send_red_payload_type,
        receive_text_payload_type=text.receive_text_payload_type,
        receive_red_payload_type=text.receive_red_payload_type,
        generations=text.generations,
        cps=text.cps,
        send=text.send,
        keys=SrtpKeys(keys.suite, keys.send_key, keys.receive_key) if keys else None,
    )


@dataclass(slots=True)
class Texts:
    """Real-time texts of a leg: how many were put, and how many of them the media plane has sent."""

    put: int = 0
    shown: int = 0

    @property
    def waiting(self) -> bool:
        """Whether some are still on their way."""
        return self.shown < self.put
