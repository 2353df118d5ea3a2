"""The half that runs inside Flower: standard library and flwr only, and no import from the rest of this package.

It is copied into a Flower App as it stands (`caduceus.edges.flower.app.write_app`), because Flower pins older
versions of libraries that this package uses. It knows no message of ours: it moves opaque frames between a Unix
socket, on which the party's own process listens, and Flower's messages.
"""
