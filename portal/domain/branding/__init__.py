"""How a partner shows itself: name, telephone, colour, logo, and the words that its customers read."""
