"""What hub and spokes have in common over any engine that carries bytes: frames, who may say what, blobs, refusals."""
