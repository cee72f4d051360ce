"""A page that counts how often it was seen, in redis."""

import os
import socket

import redis
from flask import Flask

PAGE = """\
<!doctype html>
<title>Training wheels</title>
<style>body {{ font-family: sans-serif; text-align: center; color: royalblue }}</style>
<h1>This page was seen {count} times.</h1>
<p>It was served by {host}; redis counts, in a container of its own.</p>
"""

app = Flask(__name__)
counters = redis.Redis("redis")


@app.route("/")
def index() -> str:
    """The page."""
    return PAGE.format(count=counters.incr("seen"), host=socket.gethostname())


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000, debug=bool(os.environ.get("DEBUG")))
