"""Frames through an existing Flower federation, for consortia that run one.

Flower pins older libraries than ours and starts a process per message, so the party's process stays in this
environment, and a small bridge (`bridge/`, written out by `app.write_app`) runs in Flower's. They meet on a Unix
socket: `hub.FlowerHub` for the coordinator, `site.FlowerSite` for a site.
"""
