"""What becomes of a build: images, archives, trees of files, and what is attested of them."""
