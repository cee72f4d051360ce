"""What containers of one network are joined to: bridges, links, tunnels, a plugin's ways."""
