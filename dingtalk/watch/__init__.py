"""The second machine: hears the boxes' heartbeats, and tells DingTalk itself when one has gone silent."""
