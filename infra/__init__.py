"""What the rooms run on: images, the compose stack's parts, and the local stack without Docker."""
