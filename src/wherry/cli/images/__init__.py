"""What is said of images: listed, named, moved between engines, archives and registries."""
