"""What outlives a call: sessions, turns, keys, knowledge, webhooks. SQLite by default, PostgreSQL by URL.

A query is a plain function whose first argument is a transaction:

    session = await store.write(sessions.create, NewSession(mode="ai_agent"))
    page = await store.read(sessions.page, Page(limit=20), status="active")

Several compose into one transaction, because a function that calls two of them is a query too.
"""
