"""The control API: REST and WebSocket, in the loop of the control process."""
