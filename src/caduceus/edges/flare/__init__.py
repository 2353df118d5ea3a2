"""NVIDIA FLARE carries our frames between organisations, and does nothing else for us.

Kits with certificates come from FLARE's own provisioner (`provision`), a site makes its own policy (`policy`), and
FLARE's server and client processes (`process`) run the party's role inside themselves (`component`).
"""
