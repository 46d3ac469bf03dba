"""An example of every body, by the name of its schema; a test holds each to its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

_SESSION_ID = "sess_01JZX4T5N6P7Q8R9S0TAVBWCXD"
_AGENT_ID = "agt_01JZX4T5N6P7Q8R9S0TAVBWCXE"
_BASE_ID = "kb_01JZX4T5N6P7Q8R9S0TAVBWCXF"
_DOCUMENT_ID = "doc_01JZX4T5N6P7Q8R9S0TAVBWCXG"
_ENDPOINT_ID = "wh_01JZX4T5N6P7Q8R9S0TAVBWCXH"
_EVENT_ID = "evt_01JZX4T5N6P7Q8R9S0TAVBWCXJ"
_THEN, _LATER, _END = "2026-03-26T11:00:00.000Z", "2026-03-26T11:00:15.000Z", "2026-03-26T11:04:20.300Z"

PATH_IDS: Mapping[str, tuple[str, str]] = {
    "session_id": ("The session's id.", _SESSION_ID),
    "recording_id": ("The recording's id.", "rec_01JZX4T5N6P7Q8R9S0TAVBWCXK"),
    "analysis_id": ("The analysis's id.", "anl_01JZX4T5N6P7Q8R9S0TAVBWCXM"),
    "agent_id": ("The agent's id.", _AGENT_ID),
    "base_id": ("The knowledge base's id.", _BASE_ID),
    "document_id": ("The document's id.", _DOCUMENT_ID),
    "endpoint_id": ("The endpoint's id.", _ENDPOINT_ID),
    "delivery_id": ("The delivery's id.", "wh_del_01JZX4T5N6P7Q8R9S0TAVBWCXN"),
}
"""Parameters of paths: what they are, and one of them."""

_TOOL: Json = {
    "name": "lookup_order",
    "description": "Look up an order by its number.",
    "parameters": {
        "type": "object",
        "properties": {"order_number": {"type": "string"}},
        "required": ["order_number"],
    },
}

REQUESTS: Mapping[str, Json] = {
    "NewSession": {
        "mode": "bidirectional_translation",
        "source_language": "de",
        "target_language": "en",
        "routing": {"type": "sip"},
        "recording": {"enabled": True, "channels": "dual"},
        "metadata": {"ticket": "4711"},
    },
    "SessionChange": {"metadata": {"ticket": "4712"}},
    "Dial": {"to": "+4930123456", "role": "customer", "timeout_s": 30},
    "Transfer": {"to": "sip:second-line@192.0.2.20", "role": "agent", "mode": "cold"},
    "HangUp": {"role": "agent"},
    "NewAnalysis": {
        "include": ["summary", "compliance"],
        "compliance": {
            "rules": [{"name": "recording notice", "phrases": ["call is recorded"], "speaker": "agent"}],
        },
    },
    "NewAgent": {
        "name": "Support, first line",
        "system_prompt": "You help customers with their orders. Be brief.",
        "voice": "alloy",
        "temperature": 0.3,
        "tools": [_TOOL],
        "handoff": {"to": "+4930123456", "mode": "attended", "summary": True},
        "greeting": "Hello, how can I help?",
    },
    "AgentChange": {"temperature": 0.7, "greeting": None},
    "NewKnowledgeBase": {"name": "Returns and refunds", "language": "en"},
    "NewDocument": {"title": "Return policy", "text": "Parcels sent back within 30 days are refunded."},
    "Search": {"query": "How do I get my money back?", "limit": 3},
    "NewEndpoint": {"url": "https://example.com/hooks/kallglot", "events": ["session.ended", "transcript.ready"]},
    "EndpointChange": {"enabled": False},
}

_SESSION: Json = {
    "id": _SESSION_ID,
    "object": "session",
    "status": "created",
    "mode": "bidirectional_translation",
    "provider": "sip",
    "phone_number": None,
    "source_language": "de",
    "target_language": "en",
    "recording": {"enabled": True},
    "metadata": {"ticket": "4711"},
    "created_at": _THEN,
    "started_at": None,
    "ended_at": None,
    "duration_seconds": None,
    "end_reason": None,
}
_STREAM: Json = {
    "url": f"wss://calls.example.com/v1/sessions/{_SESSION_ID}/connect",
    "token": "kst_AZ0nT8Y",
    "expires_at": "2026-03-26T11:05:00.000Z",
}
_AGENT: Json = {
    **dict.fromkeys(("system_prompt", "voice", "temperature", "knowledge_base_id", "tools", "handoff", "greeting")),
    **REQUESTS["NewAgent"],
    "id": _AGENT_ID,
    "object": "agent",
    "knowledge_base_id": _BASE_ID,
    "metadata": {},
    "created_at": _THEN,
    "updated_at": _THEN,
}
_BASE: Json = {
    "id": _BASE_ID,
    "object": "knowledge_base",
    "name": "Returns and refunds",
    "description": None,
    "language": "en",
    "metadata": {},
    "created_at": _THEN,
    "updated_at": _THEN,
}
_DOCUMENT: Json = {
    "id": _DOCUMENT_ID,
    "object": "document",
    "knowledge_base_id": _BASE_ID,
    "title": "Return policy",
    "source": None,
    "media_type": "text/plain",
    "language": "en",
    "status": "ready",
    "error": None,
    "size_bytes": 46,
    "sha256": "ab5df625bc76dbd4e163bed2dd888df828f90159bb93556525c31821b6541d46",
    "passage_count": 1,
    "metadata": {},
    "created_at": _THEN,
    "ready_at": _LATER,
}
_ENDPOINT: Json = {
    "id": _ENDPOINT_ID,
    "object": "webhook_endpoint",
    "url": "https://example.com/hooks/kallglot",
    "events": ["session.ended", "transcript.ready"],
    "enabled": True,
    "description": None,
    "metadata": {},
    "created_at": _THEN,
    "updated_at": _THEN,
}
_DELIVERY: Json = {
    "id": "wh_del_01JZX4T5N6P7Q8R9S0TAVBWCXN",
    "object": "webhook_delivery",
    "endpoint_id": _ENDPOINT_ID,
    "event_id": _EVENT_ID,
    "event_type": "session.ended",
    "session_id": _SESSION_ID,
    "state": "delivered",
    "attempts": 1,
    "next_attempt_at": None,
    "created_at": _END,
    "done_at": _END,
}
_RECORDING: Json = {
    "id": "rec_01JZX4T5N6P7Q8R9S0TAVBWCXK",
    "object": "recording",
    "session_id": _SESSION_ID,
    "channel": "customer",
    "status": "ready",
    "duration": 245.3,
    "format": "wav",
    "size": 7_849_644,
    "sample_rate": 8000,
    "bit_depth": 16,
    "download_url": "/v1/recordings/rec_01JZX4T5N6P7Q8R9S0TAVBWCXK/audio",
    "created_at": _END,
    "expires_at": None,
}
_ENDED = {**_SESSION, "status": "ended", "started_at": _LATER, "ended_at": _END, "duration_seconds": 245.3,
          "end_reason": "customer_hangup"}  # fmt: skip


def _list(url: str, item: Json) -> Json:
    return {"object": "list", "data": [item], "has_more": False, "url": url}


ANSWERS: Mapping[str, Json] = {
    "SessionObject": {**_SESSION, "stream": _STREAM},
    "SessionList": _list("/v1/sessions", _ENDED),
    "CallObject": {
        "id": "leg_01JZX4T5N6P7Q8R9S0TAVBWCXP",
        "object": "call",
        "session_id": _SESSION_ID,
        "role": "customer",
        "direction": "outbound",
        "status": "answered",
        "to": "+4930123456",
        "from": "+4930987654",
        "sip_status": None,
        "created_at": _THEN,
        "answered_at": _LATER,
        "ended_at": None,
    },
    "TranscriptObject": {
        "id": f"trn_{_SESSION_ID}",
        "object": "transcript",
        "session_id": _SESSION_ID,
        "status": "completed",
        "turns": [
            {
                "sequence": 1,
                "speaker": "customer",
                "language": "de",
                "text": "Ich habe eine Frage zu meiner Bestellung.",
                "translation": {"language": "en", "text": "I have a question about my order."},
                "timestamp": "2026-03-26T11:00:18.420Z",
                "start_ms": 1200,
                "end_ms": 3420,
                "confidence": 0.96,
            }
        ],
        "metadata": {"total_turns": 1, "duration_seconds": 245.3, "languages_detected": ["de"]},
    },
    "RecordingObject": _RECORDING,
    "RecordingList": _list(f"/v1/sessions/{_SESSION_ID}/recordings", _RECORDING),
    "AnalysisObject": {
        "id": "anl_01JZX4T5N6P7Q8R9S0TAVBWCXM",
        "object": "analysis",
        "session_id": _SESSION_ID,
        "profile": "default",
        "include": ["summary", "compliance"],
        "status": "completed",
        "summary": "The customer asked where the order is; the agent promised it for tomorrow.",
        "sentiment": None,
        "compliance": {"status": "flagged", "flags": ["recording notice"]},
        "keywords": None,
        "performance": None,
        "results": {
            "summary": {
                "method": "model",
                "model": "qwen2.5-7b-instruct",
                "language": "en",
                "text": "The customer asked where the order is; the agent promised it for tomorrow.",
                "topics": ["order", "delivery"],
                "action_items": [],
                "outcome": "resolved",
            },
            "compliance": {
                "method": "computed",
                "passed": False,
                "rules": [{"name": "recording notice", "must": "say", "passed": False, "found": []}],
            },
        },
        "error": None,
        "created_at": _END,
        "completed_at": "2026-03-26T11:04:22.100Z",
    },
    "AgentObject": _AGENT,
    "AgentList": _list("/v1/agents", _AGENT),
    "KnowledgeBaseObject": {**_BASE, "document_count": 1},
    "KnowledgeBaseList": _list("/v1/knowledge_bases", _BASE),
    "DocumentObject": _DOCUMENT,
    "DocumentList": _list(f"/v1/knowledge_bases/{_BASE_ID}/documents", _DOCUMENT),
    "SearchResult": {
        "object": "search_result",
        "knowledge_base_id": _BASE_ID,
        "method": "words",
        "data": [
            {
                "document_id": _DOCUMENT_ID,
                "title": "Return policy",
                "source": None,
                "heading": None,
                "page": None,
                "position": 0,
                "text": "Parcels sent back within 30 days are refunded.",
                "score": 1.0,
            }
        ],
    },
    "EndpointObject": _ENDPOINT,
    "EndpointList": _list("/v1/webhook_endpoints", _ENDPOINT),
    "DeliveryObject": _DELIVERY,
    "DeliveryList": _list(f"/v1/webhook_endpoints/{_ENDPOINT_ID}/deliveries", _DELIVERY),
    "WholeDelivery": {
        **_DELIVERY,
        "event": {"id": _EVENT_ID, "type": "session.ended", "api_version": "v1", "created_at": _END, "data": _ENDED},
        "history": [
            {"number": 1, "at": _END, "took_ms": 87, "status": 200, "error": None, "answer": "ok"},
        ],
    },
    "Deleted": {"id": _AGENT_ID, "object": "agent", "deleted": True},
    "Alive": {"status": "ok"},
    "Readiness": {"status": "ready", "problems": {}},
}
