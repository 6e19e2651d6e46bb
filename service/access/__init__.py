"""Access: limits on connections and uploads, API keys, disconnects."""
