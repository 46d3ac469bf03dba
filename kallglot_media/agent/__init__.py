"""What an AI says and does in a call: intents, knowledge, language models, tools, guards. Knows nothing of sound."""
